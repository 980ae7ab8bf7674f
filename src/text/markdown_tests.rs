use proptest::prelude::*;

use super::*;

const REL: &str = r#"rel="nofollow noopener noreferrer""#;

#[track_caller]
fn case(comment: &str, want: &str) {
    let got = render(comment);
    assert_eq!(got.trim_end(), want.replace("REL", REL), "{comment:?}");
    check(&got);
}

#[test]
fn what_people_type() {
    case("確認しました。\n明日返信します。", "<p>確認しました。<br>\n明日返信します。</p>");
    case("一\n\n二", "<p>一</p>\n<p>二</p>");
    case(
        "**太字** *斜体* ~~取り消し~~ `code`",
        "<p><strong>太字</strong> <em>斜体</em> <del>取り消し</del> <code>code</code></p>",
    );
    case("# 大\n## 中\n### 小\n###### 最小", "<h3>大</h3>\n<h4>中</h4>\n<h5>小</h5>\n<h5>最小</h5>");
    case("- [x] 済\n- [ ] 未", "<ul>\n<li>☑ 済</li>\n<li>☐ 未</li>\n</ul>");
    case("3. 三\n4. 四", "<ol start=\"3\">\n<li>三</li>\n<li>四</li>\n</ol>".replace("</ul>", "</ol>").as_str());
    case("> 引用", "<blockquote>\n<p>引用</p>\n</blockquote>");
    case(
        "|左|右|\n|:-|-:|\n|1|2|",
        "<table><thead><tr><th>左</th><th>右</th></tr></thead><tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>",
    );
    case("```rust\nlet a = \"<b>\";\n```", "<pre><code>let a = \"&lt;b&gt;\";\n</code></pre>");
    case("@taro さん、a@example.jp へ", "<p>@taro さん、a@example.jp へ</p>");
    case("", "");
}

#[test]
fn links() {
    case("[見る](https://example.jp/ \"題\")", "<p><a href=\"https://example.jp/\" REL>見る</a></p>");
    case("<a@example.jp>", "<p><a href=\"mailto:a@example.jp\" REL>a@example.jp</a></p>");
    case("[x](javascript:alert(1))", "<p>x</p>");
    case("[x](JaVaScRiPt:alert%281%29)", "<p>x</p>");
    case("[x](java&#10;script:alert)", "<p>x</p>");
    case("[x](data:text/html,hi) [y](/relative) [z](//host/)", "<p>x y z</p>");
    case("![図](https://example.jp/a.png)", "<p><a href=\"https://example.jp/a.png\" REL>図</a></p>");
    case(
        "![](https://example.jp/a.png)",
        "<p><a href=\"https://example.jp/a.png\" REL>https://example.jp/a.png</a></p>",
    );
    case("[![図](https://a.jp/i.png)](https://b.jp/)", "<p><a href=\"https://b.jp/\" REL>図</a></p>");
}

#[test]
fn bare_addresses() {
    #[track_caller]
    fn address(comment: &str, address: &str) {
        let href = address.replace('&', "&amp;");
        let want = comment.replace('&', "&amp;").replacen(&href, &format!("<a href=\"{href}\" REL>{href}</a>"), 1);
        case(comment, &format!("<p>{want}</p>"));
    }
    address("詳しくはhttps://example.jp/a_b_cをご覧ください", "https://example.jp/a_b_c");
    address("（https://example.jp/?a=1&b=2）", "https://example.jp/?a=1&b=2");
    address("see https://example.jp/x. Then", "https://example.jp/x");
    address("(http://example.jp/w_(x)) と", "http://example.jp/w_(x)");
    address("http://127.0.0.1:8080/ で", "http://127.0.0.1:8080/");
    case("xhttp://a.jp", "<p>xhttp://a.jp</p>");
    case("http:// https", "<p>http:// https</p>");
    case("`https://example.jp/`", "<p><code>https://example.jp/</code></p>");
    case("[https://a.jp/](https://b.jp/)", "<p><a href=\"https://b.jp/\" REL>https://a.jp/</a></p>");
    case(
        "https://a.jp https://b.jp",
        "<p><a href=\"https://a.jp\" REL>https://a.jp</a> <a href=\"https://b.jp\" REL>https://b.jp</a></p>",
    );
}

#[test]
fn typed_html_is_shown_as_typed() {
    case("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>");
    case("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>");
    case("<div>\n<p style=\"x\">\n</div>", "<p>&lt;div&gt;<br>\n&lt;p style=\"x\"&gt;<br>\n&lt;/div&gt;</p>");
    case("<hr>\n\nx", "<p>&lt;hr&gt;</p>\n<p>x</p>");
    case("<!-- c -->", "<p>&lt;!-- c --&gt;</p>");
    case("&lt;img src=x onerror=y&gt;", "<p>&lt;img src=x onerror=y&gt;</p>");
}

/// Fails unless the HTML consists of text and of the promised elements and attributes.
#[track_caller]
fn check(html: &str) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (tag, after) = rest[at + 1..].split_once('>').unwrap_or_else(|| panic!("a tag is not closed: {html}"));
        rest = after;
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let (name, mut attributes) = name.split_once(' ').unwrap_or((name, ""));
        assert!(ELEMENTS.contains(&name), "element {name} in {html}");
        while !attributes.is_empty() {
            let (attribute, value) =
                attributes.trim_start().split_once("=\"").unwrap_or_else(|| panic!("{tag} in {html}"));
            let (value, more) = value.split_once('"').unwrap_or_else(|| panic!("{tag} in {html}"));
            attributes = more;
            let allowed = match (name, attribute) {
                ("a", "href") => {
                    ["http:", "https:", "mailto:"].iter().any(|s| value.to_ascii_lowercase().starts_with(s))
                }
                ("a", "rel") => value == "nofollow noopener noreferrer",
                ("ol", "start") => value.bytes().all(|b| b.is_ascii_digit()),
                _ => false,
            };
            assert!(allowed, "{attribute}={value} on {name} in {html}");
        }
    }
}

/// Size of the HTML that any comment of `bytes` stays below.
fn size_max(bytes: usize) -> usize {
    16 * bytes + 256 * 1024
}

#[test]
fn hostile_text_costs_no_more_than_its_length() {
    let bytes = crate::limits::COMMENT_BYTES_MAX;
    let wide_table = format!("{}|\n{}|\n{}", "|a".repeat(5_000), "|-".repeat(5_000), "|\n".repeat(20_000));
    let deep_list: String = (0..300).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect();
    let mut texts = vec![wide_table, deep_list, "[a](".repeat(bytes / 4), "*a **a ".repeat(bytes / 7)];
    let units = [
        ">",
        "> ",
        "*",
        "_",
        "~~a",
        "[",
        "![",
        "](",
        "`",
        "``a",
        "<",
        "<a ",
        "<!--",
        "<![CDATA[",
        "&",
        "&lt;",
        "\\",
        "- ",
        "1. ",
        "# ",
        "#\n",
        "|\n",
        "\n",
        "a\n",
        "http://a ",
        "https://",
        "[a]: b\n",
        "[a][b]",
        "<http://a>",
        "\"",
        "(((",
        "http://a(((((",
        "> - ",
        "***a",
        "字",
        "\t",
        "  \n",
        "-\n",
        "+\n\n",
        "<p>\n\n",
        "<?",
        "a|",
        "![[",
        "*a_b",
        "~",
    ];
    texts.extend(units.iter().map(|unit| unit.repeat(bytes / unit.len())));
    texts.extend(
        units.iter().map(|unit| format!("a{}\n{}", unit.repeat(bytes / 2 / unit.len()), "*]_)~".repeat(bytes / 10))),
    );
    for text in texts {
        let html = render(&text[..text.floor_char_boundary(bytes)]);
        let head: String = text.chars().take(16).collect();
        assert!(html.len() <= size_max(text.len()), "{} bytes from {} of {head:?}", html.len(), text.len());
        check(&html);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_but_the_promised_elements_comes_out(
        comment in "(.|\\n){0,200}|([<>\"'`*_~|#\\[\\]()!:&;/=\\\\ \\n\\t-]|a|script|on\\w=x|javascript:|data:|https?://|style=|img |<b>|<a href=|&#x3c;|\u{0}){0,60}"
    ) {
        let html = render(&comment);
        check(&html);
        prop_assert!(html.len() <= size_max(comment.len()));
        prop_assert_eq!(render(&comment), html);
    }
}
