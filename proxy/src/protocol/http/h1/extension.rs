//! Chunk extensions (RFC 9112 7.1.1): nobody acts on them, and each byte is verified all the same. Who heeds quotes and
//! who does not would disagree about where a line ends in which one is left open.

use super::octets;

/// The rule that the last byte belonged to, in `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Behind a semicolon, perhaps with space between: where every extension begins.
    Semicolon,
    Name,
    SpaceBehindName,
    /// Behind an equals sign, perhaps with space between.
    Equals,
    Token,
    Quoted,
    /// Behind a backslash between quotes.
    Escape,
    /// The closing quote.
    Unquoted,
    SpaceBehindValue,
}

impl Extension {
    /// With one byte more; `None` if that may not stand there.
    pub(super) fn step(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Quoted, b'"') => Some(Self::Unquoted),
            (Self::Quoted, b'\\') => Some(Self::Escape),
            (Self::Quoted | Self::Escape, _) => octets::is_text_byte(byte).then_some(Self::Quoted),
            (Self::Semicolon | Self::Equals, b' ' | b'\t') => Some(self),
            (Self::Name | Self::SpaceBehindName, b' ' | b'\t') => Some(Self::SpaceBehindName),
            (_, b' ' | b'\t') => Some(Self::SpaceBehindValue),
            (Self::Semicolon | Self::Name, _) if octets::is_token(byte) => Some(Self::Name),
            (Self::Equals | Self::Token, _) if octets::is_token(byte) => Some(Self::Token),
            (Self::Equals, b'"') => Some(Self::Quoted),
            (Self::Name | Self::SpaceBehindName, b'=') => Some(Self::Equals),
            (Self::Semicolon | Self::Equals, _) => None,
            (_, b';') => Some(Self::Semicolon),
            _ => None,
        }
    }

    /// Whether the line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::Unquoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether what follows the first semicolon is whole.
    fn is_whole(text: &[u8]) -> bool {
        text.iter()
            .try_fold(Extension::Semicolon, |place, byte| place.step(*byte))
            .is_some_and(Extension::may_end)
    }

    #[test]
    fn extensions_are_names_and_perhaps_values() {
        for whole in [
            "a",
            "a=b",
            " a\t=  b ; c",
            "a=\"\"",
            "a=\"b;\u{e9} =\t\"",
            "a=\"\\\"\\\\\";b=\"\"",
            "a;b;c=d",
        ] {
            assert!(is_whole(whole.as_bytes()), "{whole:?}");
        }
        for refused in [
            "",
            " ",
            ";",
            "a;",
            "a;;b",
            "=b",
            "a=",
            "a==b",
            "a=b=c",
            "a b",
            "a=b c",
            "a ",
            "a=b ",
            "a=\"",
            "a=\"b\\\"",
            "a=\"b\\",
            "a=\"b\"c",
            "a=\"b\" ",
            "a=\"\0\"",
            "a=\"\\\u{1}\"",
            "a=b\"c\"",
            "\"a\"",
            "\u{e9}",
            "a=\u{e9}",
        ] {
            assert!(!is_whole(refused.as_bytes()), "{refused:?}");
        }
    }
}
