//! Quantities of memory, as Kubernetes writes them.

use super::SpecProblem;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// One mebibyte.
    pub const MI: u64 = 1 << 20;

    /// As a quantity, in the largest binary unit that loses nothing.
    #[must_use]
    pub fn quantity(self) -> String {
        for (unit, size) in [("Gi", 1 << 30), ("Mi", Self::MI), ("Ki", 1 << 10)] {
            if self.0 != 0 && self.0.is_multiple_of(size) {
                return format!("{}{unit}", self.0 / size);
            }
        }
        self.0.to_string()
    }

    /// Reads a quantity that is no fraction of a byte.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse(text)
    }

    /// Rounded up to whole pages of 2Mi.
    #[must_use]
    pub const fn huge_pages(self) -> Self {
        Self(self.0.div_ceil(2 * Self::MI) * 2 * Self::MI)
    }
}

/// Reads a quantity of bytes.
pub(super) fn bytes(field: &str, text: &str) -> Result<Bytes, SpecProblem> {
    parse(text).ok_or_else(|| {
        let cure = "write a number with a unit, such as 554Mi or 50Gi";
        SpecProblem::new(field, format!("{text:?} is not a quantity of bytes"), cure)
    })
}

/// Checks a number of processors: whole, a decimal fraction, or thousandths.
pub(super) fn processors(field: &str, text: &str) -> Result<(), SpecProblem> {
    let number = text.strip_suffix('m').unwrap_or(text);
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain && parse(number).is_some() {
        return Ok(());
    }
    let cure = "write a number, such as 2, 0.5 or 200m";
    Err(SpecProblem::new(field, format!("{text:?} is not a number of processors"), cure))
}

fn parse(text: &str) -> Option<Bytes> {
    const UNITS: [(&str, u64); 13] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("", 1),
    ];
    let (number, size) =
        UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let mut total = whole.parse::<u64>().ok()?.checked_mul(size)?;
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        let part = fraction.parse::<u128>().ok()? * u128::from(size) / scale;
        total = total.checked_add(u64::try_from(part).ok()?)?;
    }
    Some(Bytes(total))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("554Mi", Some(580_911_104))]
    #[case("2Gi", Some(2 << 30))]
    #[case("1.5Gi", Some(3 << 29))]
    #[case("1k", Some(1_000))]
    #[case("17", Some(17))]
    #[case("", None)]
    #[case("Gi", None)]
    #[case("-1Gi", None)]
    #[case("1 Gi", None)]
    #[case("lots", None)]
    #[case("99999999999Pi", None)]
    fn quantities(#[case] text: &str, #[case] wanted: Option<u64>) {
        assert_eq!(parse(text), wanted.map(Bytes));
    }

    #[rstest]
    #[case(580_911_104, "554Mi")]
    #[case(2 << 30, "2Gi")]
    #[case(1_000, "1000")]
    fn texts(#[case] bytes: u64, #[case] wanted: &str) {
        assert_eq!(Bytes(bytes).quantity(), wanted);
    }
}
