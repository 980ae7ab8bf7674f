//! Mail addresses: the part of RFC 5321 that mail servers of today deliver to.

use std::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

use super::message::{Explain, Message};

/// `local@domain`, as RFC 5321 4.1.2 has it without quoted local parts, address literals and non-ASCII mailboxes. The
/// domain is lower-cased; the local part stays as typed, since its server may care.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct MailAddress(#[n(0)] String);

/// Why a text is not a mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailAddressError {
    /// Nothing was given.
    #[error("enter a mail address")]
    Empty,
    /// No `@`, or more than one.
    #[error("a mail address has one @")]
    NotOneAt,
    /// More than 254 characters, or more than 64 before the `@` (RFC 5321 4.5.3.1).
    #[error("the mail address is too long: at most 64 characters before the @, and 254 in all")]
    TooLong,
    /// White space, a control character, or anything outside ASCII.
    #[error("character {at} of the mail address is not allowed; use half-width letters without spaces")]
    ForeignCharacter {
        /// Its place in the trimmed text, counted in characters from 1.
        at: usize,
    },
    /// A quoted local part such as `"a b"@example.jp`.
    #[error("quoted mail addresses are not supported")]
    Quoted,
    /// The part before the `@` is empty, or has a misplaced dot or a character of no mailbox.
    #[error("the part before the @ is not the name of a mailbox")]
    LocalPart,
    /// The part after the `@` is not a host name.
    #[error("the part after the @ is not a domain")]
    Domain,
}

impl Explain for MailAddressError {
    fn message(&self) -> Message {
        match self {
            Self::Empty => Message::plain("mail-address-error-empty"),
            Self::NotOneAt => Message::plain("mail-address-error-not-one-at"),
            Self::TooLong => Message::plain("mail-address-error-too-long"),
            Self::ForeignCharacter { at } => Message::plain("mail-address-error-foreign-character").with("at", at),
            Self::Quoted => Message::plain("mail-address-error-quoted"),
            Self::LocalPart => Message::plain("mail-address-error-local-part"),
            Self::Domain => Message::plain("mail-address-error-domain"),
        }
    }
}

impl MailAddress {
    /// The address, ends trimmed and the domain lower-cased.
    ///
    /// # Errors
    /// [`MailAddressError`] says what to correct.
    pub fn parse(raw: &str) -> Result<Self, MailAddressError> {
        let text = raw.trim();
        if text.is_empty() {
            return Err(MailAddressError::Empty);
        }
        if text.starts_with('"') {
            return Err(MailAddressError::Quoted);
        }
        if let Some(index) = text.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(MailAddressError::ForeignCharacter { at: index + 1 });
        }
        let (local, domain) = text.split_once('@').ok_or(MailAddressError::NotOneAt)?;
        if domain.contains('@') {
            return Err(MailAddressError::NotOneAt);
        }
        if text.len() > 254 || local.len() > 64 {
            return Err(MailAddressError::TooLong);
        }
        if !local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte)) {
            return Err(MailAddressError::LocalPart);
        }
        let top_is_number = domain.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if top_is_number || !domain.split('.').all(is_domain_label) {
            return Err(MailAddressError::Domain);
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The address as it is shown and mailed to.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two addresses of one mailbox are equal: all in lower case. No provider in use tells mailboxes
    /// apart by case, and people type it as their keyboard likes.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit('@').next().unwrap_or_default()
    }
}

/// `atext` of RFC 5322 3.2.3.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// A label of a host name (RFC 1123 2.1).
fn is_domain_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl FromStr for MailAddress {
    type Err = MailAddressError;
    fn from_str(raw: &str) -> Result<Self, MailAddressError> {
        Self::parse(raw)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::message::assert_spoken;

    #[test]
    fn addresses() {
        #[track_caller]
        fn case(raw: &str, want: Result<&str, MailAddressError>) {
            let got = MailAddress::parse(raw);
            assert_eq!(got.as_ref().map(MailAddress::as_str), want.as_ref().copied(), "{raw:?}");
        }
        use MailAddressError as E;
        case(" Taro.Yamada+a@Example.JP ", Ok("Taro.Yamada+a@example.jp"));
        case("root@intranet", Ok("root@intranet"));
        case("a@xn--wgv71a.jp", Ok("a@xn--wgv71a.jp"));
        case("o'brien/x=y@example.jp", Ok("o'brien/x=y@example.jp"));
        case("", Err(E::Empty));
        case("taro", Err(E::NotOneAt));
        case("a@b@c", Err(E::NotOneAt));
        case("\"a b\"@example.jp", Err(E::Quoted));
        case("a b@example.jp", Err(E::ForeignCharacter { at: 2 }));
        case("a＠example.jp", Err(E::ForeignCharacter { at: 2 }));
        case("a@example.jp\r\nBcc: b@example.jp", Err(E::ForeignCharacter { at: 13 }));
        case("@example.jp", Err(E::LocalPart));
        case(".a@example.jp", Err(E::LocalPart));
        case("a..b@example.jp", Err(E::LocalPart));
        case("a,b@example.jp", Err(E::LocalPart));
        case("<a@example.jp>", Err(E::LocalPart));
        case("a@", Err(E::Domain));
        case("a@-example.jp", Err(E::Domain));
        case("a@example..jp", Err(E::Domain));
        case("a@example.jp.", Err(E::Domain));
        case("a@192.0.2.1", Err(E::Domain));
        case("a@[192.0.2.1]", Err(E::Domain));
        case(&format!("{}@example.jp", "a".repeat(64)), Ok(&format!("{}@example.jp", "a".repeat(64))));
        case(&format!("{}@example.jp", "a".repeat(65)), Err(E::TooLong));
        case(&format!("a@{}.jp", "b".repeat(64)), Err(E::Domain));
        case(&format!("a@{}jp", "b.".repeat(126)), Err(E::TooLong));
    }

    #[test]
    fn comparison_ignores_case() {
        let typed =
            MailAddress::parse("Taro@Example.jp").map(|address| (address.folded(), address.domain().to_owned()));
        assert_eq!(typed, Ok(("taro@example.jp".to_owned(), "example.jp".to_owned())));
    }

    #[test]
    fn every_refusal_is_explained_in_both_languages() {
        use MailAddressError as E;
        for refusal in
            [E::Empty, E::NotOneAt, E::TooLong, E::ForeignCharacter { at: 1 }, E::Quoted, E::LocalPart, E::Domain]
        {
            assert_spoken(&refusal);
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_a_mailbox_for_the_mailer_too(raw in "[a-zA-Z0-9.+_-]{1,70}@[a-zA-Z0-9.-]{1,70}|.{0,30}") {
            if let Ok(address) = MailAddress::parse(&raw) {
                prop_assert_eq!(MailAddress::parse(address.as_str()), Ok(address.clone()));
                prop_assert!(address.as_str().parse::<lettre::Address>().is_ok(), "{}", address);
            }
        }
    }
}
