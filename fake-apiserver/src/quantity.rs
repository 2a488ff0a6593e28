//! Amounts such as `1Gi` or `500m`, in their shortest form.

/// An amount: digits as an integer in units of 10^-9, and how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity {
    nanos: i128,
    binary: bool,
    exponent: bool,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] =
    [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
const DECIMAL: [(&str, i32); 10] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
    ("m", -3),
    ("u", -6),
    ("n", -9),
];

impl Quantity {
    /// Reads an amount; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let split =
            text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(split);
        let (negative, digits) = match digits.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, digits.strip_prefix('+').unwrap_or(digits)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty()
            || fraction.contains(['+', '-', '.'])
            || whole.contains(['+', '-'])
        {
            return None;
        }
        let fraction = fraction.get(..fraction.len().min(9)).unwrap_or_default();
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: i128 = format!("{fraction:0<9}").parse().ok()?;
        let base = whole.checked_mul(NANO)?.checked_add(part)?;
        let (nanos, binary, exponent) = scale(base, suffix)?;
        Some(Self { nanos: if negative { -nanos } else { nanos }, binary, exponent })
    }

    /// In units of 10^-9.
    pub(crate) fn nanos(self) -> i128 {
        self.nanos
    }

    /// The shortest form that means the same.
    pub(crate) fn canonical(self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        if self.binary && self.nanos % NANO == 0 {
            let whole = self.nanos / NANO;
            if whole.abs() >= 1024 {
                for (suffix, bits) in BINARY {
                    let unit = 1_i128 << bits;
                    if whole % unit == 0 {
                        return format!("{}{suffix}", whole / unit);
                    }
                }
            }
        }
        for (suffix, power) in DECIMAL {
            let unit = 10_i128.pow((power + 9).unsigned_abs());
            if self.nanos % unit == 0 {
                let number = self.nanos / unit;
                return if self.exponent && power != 0 {
                    format!("{number}e{power}")
                } else {
                    format!("{number}{suffix}")
                };
            }
        }
        self.nanos.to_string()
    }
}

fn scale(base: i128, suffix: &str) -> Option<(i128, bool, bool)> {
    if let Some((_, bits)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Some((base.checked_mul(1_i128 << bits)?, true, false));
    }
    let (power, exponent) = match DECIMAL.iter().find(|(known, _)| *known == suffix) {
        Some((_, power)) => (*power, false),
        None => (
            suffix
                .strip_prefix(['e', 'E'])?
                .parse::<i32>()
                .ok()
                .filter(|power| power.abs() <= 18)?,
            true,
        ),
    };
    let unit = 10_i128.pow(power.unsigned_abs());
    // Less than 10^-9 is rounded up, as the real server does.
    let nanos = if power >= 0 {
        base.checked_mul(unit)?
    } else {
        base.div_euclid(unit) + i128::from(base % unit != 0)
    };
    Some((nanos, false, exponent))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1024Mi", "1Gi")]
    #[case("1000m", "1")]
    #[case("0.5", "500m")]
    #[case("1500m", "1500m")]
    #[case("2e3", "2e3")]
    #[case("1000k", "1M")]
    #[case("0.5Gi", "512Mi")]
    #[case("1000", "1k")]
    fn shortest(#[case] text: &str, #[case] want: &str) {
        assert_eq!(Quantity::parse(text).unwrap().canonical(), want);
    }

    #[rstest]
    #[case("")]
    #[case("lots")]
    #[case("1.2.3")]
    #[case("1GiB")]
    fn refused(#[case] text: &str) {
        assert_eq!(Quantity::parse(text), None);
    }
}
