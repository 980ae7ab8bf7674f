//! `application/x-www-form-urlencoded` bodies (WHATWG URL, section 5.1), split before any charset is applied.

/// The pairs of a form, in order, percent-decoded to bytes. Never fails: what is no pair is a name without a value, and
/// a `%` without two hexadecimal digits stands for itself.
pub fn pairs(body: &[u8]) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    body.split(|&b| b == b'&').filter(|part| !part.is_empty()).map(|part| {
        let equals = part.iter().position(|&b| b == b'=');
        let (name, value) = equals.map_or((part, &[][..]), |at| (&part[..at], &part[at + 1..]));
        (decode(name), decode(value))
    })
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        #[track_caller]
        fn case(body: &str, want: &[(&str, &str)]) {
            let got: Vec<_> = pairs(body.as_bytes()).collect();
            let want: Vec<_> = want.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
            assert_eq!(got, want, "{body}");
        }
        case("", &[]);
        case("a=1&b=2", &[("a", "1"), ("b", "2")]);
        case("a=b=c&&d&=e", &[("a", "b=c"), ("d", ""), ("", "e")]);
        case("q=%E5%B1%B1+%e7%94%b0", &[("q", "山 田")]);
        case("100%=50%2&%zz=%", &[("100%", "50%2"), ("%zz", "%")]);
        case("name=山田商店", &[("name", "山田商店")]);
    }

    proptest! {
        #[test]
        fn any_pairs_survive(given in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..8), proptest::collection::vec(any::<u8>(), 0..8)), 0..8)) {
            let encode = |bytes: &[u8]| bytes.iter().map(|b| format!("%{b:02X}")).collect::<String>();
            let body: Vec<_> = given.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            prop_assert_eq!(pairs(body.join("&").as_bytes()).collect::<Vec<_>>(), given);
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let decoded: usize = pairs(&body).map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(decoded <= body.len());
        }
    }
}
