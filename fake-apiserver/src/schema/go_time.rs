//! Times as Go reads them, with its words for those it cannot read.

/// How finely a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// RFC 3339; a fraction is read and dropped.
    Seconds,
    /// Exactly six digits after the seconds.
    Micros,
}

/// Reads a time and writes it in UTC.
///
/// # Errors
/// Go's text for a time that does not fit the layout.
pub(super) fn read(text: &str, precision: Precision) -> Result<String, String> {
    let layout = match precision {
        Precision::Seconds => "2006-01-02T15:04:05Z07:00",
        Precision::Micros => "2006-01-02T15:04:05.000000Z07:00",
    };
    if let Err((rest, element)) = fit(text, precision) {
        return Err(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {element:?}"
        ));
    }
    let Ok(time) = text.parse::<jiff::Timestamp>() else {
        return Err(format!("parsing time {text:?}: day out of range"));
    };
    let written = match precision {
        Precision::Seconds => time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        Precision::Micros => time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
    };
    Ok(written.to_string())
}

/// Whether a text fits the layout; else what is left of it, and the element that was expected there.
fn fit(text: &str, precision: Precision) -> Result<(), (&str, &'static str)> {
    let mut rest = text;
    for element in ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05"] {
        let digits = element.starts_with(|c: char| c.is_ascii_digit());
        let fits = rest.get(..element.len()).is_some_and(|head| {
            if digits { head.bytes().all(|c| c.is_ascii_digit()) } else { head == element }
        });
        rest = rest.get(element.len()..).filter(|_| fits).ok_or((rest, element))?;
    }
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
    if precision == Precision::Micros && fraction != 7 {
        return Err((rest, ".000000"));
    }
    let zone = rest.get(fraction..).unwrap_or_default();
    let offset = zone.strip_prefix(['+', '-']).is_some_and(|zone| {
        zone.len() == 5
            && zone.bytes().enumerate().all(
                |(at, c)| {
                    if at == 2 { c == b':' } else { c.is_ascii_digit() }
                },
            )
    });
    if zone == "Z" || offset { Ok(()) } else { Err((zone, "Z07:00")) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2001-02-03T05:05:06.000000+01:00", "2001-02-03T04:05:06.000000Z")]
    #[case("2001-02-03T04:05:06.000007Z", "2001-02-03T04:05:06.000007Z")]
    fn in_utc(#[case] text: &str, #[case] want: &str) {
        assert_eq!(read(text, Precision::Micros).as_deref(), Ok(want));
    }

    #[rstest]
    #[case("2001-02-03T04:05:06Z", "cannot parse \"Z\" as \".000000\"")]
    #[case("2001-02-03T04:05:06.5Z", "cannot parse \".5Z\" as \".000000\"")]
    #[case("yesterday", "cannot parse \"yesterday\" as \"2006\"")]
    fn refused(#[case] text: &str, #[case] why: &str) {
        assert!(read(text, Precision::Micros).unwrap_err().ends_with(why));
    }
}
