//! Reading out of pages what a person would see or follow.

/// Ids (26 characters) that follow a text such as `/cards/`, in the order of the page, each once.
pub fn ids_after(page: &str, before: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for rest in page.split(before).skip(1) {
        let id: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).collect();
        if id.len() == 26 && !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// What stands between two texts, the first time, with the five entities of HTML resolved.
#[track_caller]
pub fn text_between(page: &str, before: &str, after: &str) -> String {
    let rest = page.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {page}")).1;
    let text = rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} after {before:?} in {page}")).0;
    unescape(text)
}

pub fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').map_or(rest.len(), |end| end + 1);
        match &rest[..end] {
            "&amp;" => plain.push('&'),
            "&lt;" => plain.push('<'),
            "&gt;" => plain.push('>'),
            "&quot;" => plain.push('"'),
            other => {
                let number = other.trim_start_matches("&#").trim_end_matches(';');
                match number.parse::<u32>().ok().and_then(char::from_u32) {
                    Some(c) => plain.push(c),
                    None => plain.push_str(other),
                }
            }
        }
        rest = &rest[end..];
    }
    plain + rest
}
