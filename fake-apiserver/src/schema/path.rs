//! Where in a value something is.

use std::fmt;

/// A place in a value, put into words (`a.b[0].c`) only when somebody wants to read it: most values are in order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    pub(super) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(of, key) => write!(f, "{of}.{key}"),
            Self::Index(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_put_into_words() {
        let list = Path::Key(&Path::Root, "a");
        let element = Path::Index(&list, 2);
        assert_eq!(Path::Key(&element, "b").to_string(), "a[2].b");
        assert_eq!(Path::Root.to_string(), "");
    }
}
