//! Comments as HTML: [`render`] reads Markdown and gives back only the few harmless elements listed here.
//!
//! It promises, for any input whatever: no element outside [`ELEMENTS`]; no attribute but `href` and `rel` on links and
//! `start` on numbered lists, so a strict content security policy has nothing to block; links to `http`, `https` and
//! `mailto` only; HTML that somebody typed is shown as the characters typed; nothing is fetched by looking at it, since
//! images become links. Time and size grow with the input, not with how it is nested. Two lines of defence hold this:
//! the events are shaped before they become HTML, and ammonia sanitises what came out.
//!
//! The dialect is `CommonMark` with tables and strikethrough, and what people know from chats: a new line is a new line,
//! and a bare address is a link. A task list shows its boxes as ☑ and ☐; a mention stays text.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream, html};

/// The elements that rendered text may hold.
pub const ELEMENTS: [&str; 22] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h3",
    "h4",
    "h5",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Elements inside each other, beyond which text stands in the innermost: HTML parsers take quadratic time on deep trees.
const NESTING_MAX: usize = 24;
/// Cells of all tables. A short row is filled up to its table's width, so a few bytes can ask for a thousand cells.
const TABLE_CELLS_MAX: usize = 10_000;

/// The HTML of a comment. A text that asks for absurdly many table cells is shown as typed.
#[must_use]
pub fn render(comment: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut shaper = Shaper::default();
    for event in TextMergeStream::new(Parser::new_ext(comment, options)) {
        shaper.take(event);
        if shaper.cells > TABLE_CELLS_MAX {
            shaper = Shaper::default();
            shaper.events.push(Event::Start(Tag::Paragraph));
            shaper.lines(comment);
            shaper.events.push(Event::End(TagEnd::Paragraph));
            break;
        }
    }
    let mut unsafe_html = String::with_capacity(comment.len() * 2);
    html::push_html(&mut unsafe_html, shaper.events.into_iter());
    SANITISER.clean(&unsafe_html).to_string()
}

static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut builder = ammonia::Builder::empty();
    builder
        .tags(HashSet::from(ELEMENTS))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"])), ("ol", HashSet::from(["start"]))]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("nofollow noopener noreferrer"))
        .strip_comments(true);
    builder
});

/// Turns the parser's events into those that may become HTML.
#[derive(Default)]
struct Shaper<'a> {
    events: Vec<Event<'a>>,
    /// For each element that is open in the source: the one opened for it, if any.
    open: Vec<Option<TagEnd>>,
    /// How many of `open` were opened.
    depth: usize,
    /// Inside how many links, code blocks and images that became links: no link is made there.
    opaque: usize,
    cells: usize,
}

impl<'a> Shaper<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(end) => self.end(end),
            Event::Text(text) if self.opaque > 0 => self.events.push(Event::Text(text)),
            Event::Text(text) => self.text(&text),
            Event::SoftBreak => self.events.push(Event::HardBreak),
            Event::Html(typed) | Event::InlineHtml(typed) => self.lines(&typed),
            Event::TaskListMarker(done) => self.events.push(Event::Text(if done { "☑ " } else { "☐ " }.into())),
            Event::Code(_) | Event::HardBreak | Event::Rule => self.events.push(event),
            // Extensions that are not switched on.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.events.push(Event::Text(text));
            }
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        if matches!(tag, Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_)) {
            self.opaque += 1;
        }
        self.cells += usize::from(matches!(tag, Tag::TableCell));
        let shaped = if self.depth < NESTING_MAX { self.shape(tag) } else { None };
        self.open.push(shaped.as_ref().map(Tag::to_end));
        if let Some(tag) = shaped {
            self.depth += 1;
            self.events.push(Event::Start(tag));
        }
    }

    fn end(&mut self, end: TagEnd) {
        if matches!(end, TagEnd::Link | TagEnd::Image | TagEnd::CodeBlock) {
            self.opaque = self.opaque.saturating_sub(1);
        }
        match self.open.pop().flatten() {
            Some(opened) => {
                self.depth = self.depth.saturating_sub(1);
                match self.events.last() {
                    // The line break that ends an HTML block ends the paragraph already.
                    Some(Event::HardBreak) if end == TagEnd::HtmlBlock => drop(self.events.pop()),
                    // A link or image without a word shows its address, or nobody could see it.
                    Some(Event::Start(Tag::Link { dest_url, .. })) => {
                        let address = Event::Text(dest_url.clone());
                        self.events.push(address);
                    }
                    _ => {}
                }
                self.events.push(Event::End(opened));
            }
            None if matches!(end, TagEnd::Paragraph | TagEnd::Item | TagEnd::CodeBlock | TagEnd::Heading(_)) => {
                self.events.push(Event::HardBreak);
            }
            None => {}
        }
    }

    /// The element to open for a tag of the source, if any.
    fn shape(&self, tag: Tag<'a>) -> Option<Tag<'a>> {
        Some(match tag {
            Tag::Heading { level, .. } => {
                // The page has its own headings down to the second level, and a level skipped is a level missed by ear.
                let level = match level {
                    HeadingLevel::H1 => HeadingLevel::H3,
                    HeadingLevel::H2 => HeadingLevel::H4,
                    _ => HeadingLevel::H5,
                };
                Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() }
            }
            Tag::HtmlBlock => Tag::Paragraph,
            Tag::CodeBlock(_) => Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented),
            Tag::Table(_) => Tag::Table(Vec::new()),
            Tag::Link { link_type: LinkType::Email, dest_url, .. } => link(format!("mailto:{dest_url}").into())?,
            // An image inside a link would be a link inside a link, which HTML does not have.
            Tag::Image { .. } if self.opaque > 1 => return None,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => link(dest_url)?,
            Tag::Paragraph
            | Tag::BlockQuote(_)
            | Tag::List(_)
            | Tag::Item
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Emphasis
            | Tag::Strong
            | Tag::Strikethrough => tag,
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => return None,
        })
    }

    /// Text with its bare addresses as links.
    fn text(&mut self, text: &str) {
        let mut done = 0;
        while let Some(found) = bare_address(text, done) {
            if found.start > done {
                self.events.push(Event::Text(text[done..found.start].to_owned().into()));
            }
            let address = &text[found.clone()];
            if self.depth < NESTING_MAX
                && let Some(tag) = link(address.to_owned().into())
            {
                self.events.push(Event::Start(tag));
                self.events.push(Event::Text(address.to_owned().into()));
                self.events.push(Event::End(TagEnd::Link));
            } else {
                self.events.push(Event::Text(address.to_owned().into()));
            }
            done = found.end;
        }
        if done < text.len() {
            self.events.push(Event::Text(text[done..].to_owned().into()));
        }
    }

    /// Text as typed, line by line.
    fn lines(&mut self, typed: &str) {
        for (index, line) in typed.lines().enumerate() {
            if index > 0 {
                self.events.push(Event::HardBreak);
            }
            self.events.push(Event::Text(line.to_owned().into()));
        }
        if typed.ends_with('\n') {
            self.events.push(Event::HardBreak);
        }
    }
}

/// A link to an address with one of the three schemes; elsewhere nothing is opened and the text stands alone.
fn link(address: CowStr<'_>) -> Option<Tag<'_>> {
    let scheme = address.split_once(':')?.0.to_ascii_lowercase();
    matches!(scheme.as_str(), "http" | "https" | "mailto").then(|| Tag::Link {
        link_type: LinkType::Inline,
        dest_url: address,
        title: CowStr::Borrowed(""),
        id: CowStr::Borrowed(""),
    })
}

/// Where the next `http://` or `https://` address stands at or after `from`.
///
/// It ends before white space, a quotation mark or bracket of markup, and anything outside ASCII: Japanese goes on
/// without a space after an address. Punctuation at its end belongs to the sentence, as does a bracket that it did not open.
fn bare_address(text: &str, from: usize) -> Option<std::ops::Range<usize>> {
    let mut search = from;
    while let Some(offset) = text[search..].find("http") {
        let start = search + offset;
        search = start + "http".len();
        let rest = &text[search..];
        let Some(host) = rest.strip_prefix("://").or_else(|| rest.strip_prefix("s://")) else { continue };
        let glued = text[..start].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        if glued || !host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
            continue;
        }
        let length = host.find(|c: char| !c.is_ascii_graphic() || matches!(c, '<' | '>' | '"' | '`' | '|'));
        let host_start = text.len() - host.len();
        let mut address = &text[start..host_start + length.unwrap_or(host.len())];
        let mut opened = address.matches('(').count();
        let mut closed = address.matches(')').count();
        loop {
            address = match address.as_bytes().last() {
                Some(b')') if closed > opened => {
                    closed -= 1;
                    &address[..address.len() - 1]
                }
                Some(b'(') => {
                    opened = opened.saturating_sub(1);
                    &address[..address.len() - 1]
                }
                Some(b'.' | b',' | b':' | b';' | b'!' | b'?' | b'\'' | b'*' | b'_' | b'~') => {
                    &address[..address.len() - 1]
                }
                _ => break,
            };
        }
        return Some(start..start + address.len());
    }
    None
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
