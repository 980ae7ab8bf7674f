//! `GET /api/docs`: the JSON API for people. The document for programs is `/api/v1/openapi.json`.

use askama::Template;

use super::Chrome;

/// The page. It needs no sign-in: it says nothing about anybody's data.
#[derive(Template)]
#[template(path = "api_docs.html")]
pub struct ApiDocs {
    pub chrome: Chrome,
    /// Where the API is, e.g. `https://workrun.example.jp/api/v1`.
    pub base: String,
    pub groups: &'static [Group],
}

/// Operations on one kind of thing.
pub struct Group {
    /// Message that names it, and its anchor.
    pub key: &'static str,
    pub operations: &'static [Operation],
}

/// One operation. What stands in braces in its path is a parameter.
pub struct Operation {
    pub method: &'static str,
    /// Below `/api/v1`.
    pub path: &'static str,
    /// Message that says what it does.
    pub key: &'static str,
    /// Least role of the token, as in `role-…`.
    pub role: &'static str,
    pub params: &'static [Param],
    /// A body to send; empty where there is none.
    pub request: &'static str,
    /// Status and body of the answer.
    pub answer: (u16, &'static str),
}

/// A parameter of an operation, in its query, headers or body.
pub struct Param {
    pub name: &'static str,
    /// `body`, `query` or `header`.
    pub place: &'static str,
    /// `string`, `integer`, `date`, `array`, `object`.
    pub kind: &'static str,
    pub required: bool,
    /// Message that says what it means.
    pub key: &'static str,
}

impl Operation {
    /// Lower case, for the class that colours the method.
    fn class(&self) -> String {
        self.method.to_ascii_lowercase()
    }
}

const fn must(name: &'static str, kind: &'static str, key: &'static str) -> Param {
    Param { name, place: "body", kind, required: true, key }
}

const fn may(name: &'static str, kind: &'static str, key: &'static str) -> Param {
    Param { name, place: "body", kind, required: false, key }
}

const fn query(name: &'static str, kind: &'static str, key: &'static str) -> Param {
    Param { name, place: "query", kind, required: false, key }
}

const fn header(name: &'static str, key: &'static str) -> Param {
    Param { name, place: "header", kind: "string", required: false, key }
}

const LIMIT: Param = query("limit", "integer", "api-param-limit");
const CURSOR: Param = query("cursor", "string", "api-param-cursor");
const TITLE: Param = may("title", "string", "api-param-title");
const STATUS: Param = may("status", "string", "api-param-status");
const ASSIGNEES: Param = may("assignees", "array", "api-param-assignees");
const LABELS: Param = may("labels", "array", "api-param-labels");
const DUE: Param = may("due", "date", "api-param-due");
const FIELDS: Param = may("fields", "object", "api-param-fields");
const BODY: Param = may("body", "string", "api-param-body");
const IF_MATCH: Param = header("If-Match", "api-param-if-match");
const IDEMPOTENCY: Param = header("Idempotency-Key", "api-param-idempotency");

const BOARD: &str = r#"{"id": "01k…", "name": "Inquiries",
 "statuses": [{"id": "01k…", "name": "New", "kind": "todo"}, {"id": "01k…", "name": "Done", "kind": "done"}],
 "fields": [{"id": "01k…", "key": "email", "label": "Mail", "type": "text"}]}"#;

const CARD: &str = r#"{"id": "01k…", "number": 1293, "title": "Invoice differs from quote",
 "status": "01k…", "board": "01k…", "assignees": [], "labels": [], "due": null,
 "fields": {"email": "a@example.com"}, "body": null, "state": "open", "comments": 0,
 "created_at": "2026-11-24T05:31:07.000Z", "updated_at": "2026-11-24T05:31:07.000Z", "version": 1}"#;

/// Every operation that the page explains, in its order.
pub const GROUPS: &[Group] = &[
    Group {
        key: "api-boards",
        operations: &[
            Operation {
                method: "GET",
                path: "/orgs/{org}/boards",
                key: "api-boards-list",
                role: "guest",
                params: &[LIMIT, CURSOR],
                request: "",
                answer: (200, r#"{"items": [{"id": "01k…", "name": "Inquiries"}], "next_cursor": null}"#),
            },
            Operation {
                method: "POST",
                path: "/orgs/{org}/boards",
                key: "api-boards-create",
                role: "member",
                params: &[
                    must("name", "string", "api-param-board-name"),
                    may("statuses", "array", "api-param-statuses"),
                    may("fields", "array", "api-param-board-fields"),
                    IDEMPOTENCY,
                ],
                request: r#"{"name": "Inquiries", "statuses": ["New", "Done"],
 "fields": [{"key": "email", "label": "Mail", "type": "text"}]}"#,
                answer: (201, BOARD),
            },
        ],
    },
    Group {
        key: "api-cards",
        operations: &[
            Operation {
                method: "GET",
                path: "/orgs/{org}/boards/{board}/cards",
                key: "api-cards-list",
                role: "guest",
                params: &[
                    query("status", "string", "api-param-filter-status"),
                    query("assignee", "string", "api-param-filter-assignee"),
                    query("q", "string", "api-param-q"),
                    query("state", "string", "api-param-filter-state"),
                    LIMIT,
                    CURSOR,
                ],
                request: "",
                answer: (200, r#"{"items": [{"id": "01k…", "number": 1293, "title": "…"}], "next_cursor": "…"}"#),
            },
            Operation {
                method: "POST",
                path: "/orgs/{org}/boards/{board}/cards",
                key: "api-cards-create",
                role: "member",
                params: &[
                    must("title", "string", "api-param-title"),
                    STATUS,
                    ASSIGNEES,
                    LABELS,
                    DUE,
                    FIELDS,
                    BODY,
                    IDEMPOTENCY,
                ],
                request: r#"{"title": "Invoice differs from quote", "fields": {"email": "a@example.com"}}"#,
                answer: (201, CARD),
            },
            Operation {
                method: "GET",
                path: "/orgs/{org}/cards/{card}",
                key: "api-cards-read",
                role: "guest",
                params: &[],
                request: "",
                answer: (200, CARD),
            },
            Operation {
                method: "PATCH",
                path: "/orgs/{org}/cards/{card}",
                key: "api-cards-change",
                role: "member",
                params: &[TITLE, STATUS, ASSIGNEES, LABELS, DUE, FIELDS, BODY, IF_MATCH],
                request: r#"{"status": "01k…", "due": "2026-11-30"}"#,
                answer: (200, CARD),
            },
            Operation {
                method: "DELETE",
                path: "/orgs/{org}/cards/{card}",
                key: "api-cards-delete",
                role: "member",
                params: &[IF_MATCH],
                request: "",
                answer: (204, ""),
            },
            Operation {
                method: "POST",
                path: "/orgs/{org}/cards/{card}/comments",
                key: "api-comments-create",
                role: "guest",
                params: &[must("body", "string", "api-param-comment"), IDEMPOTENCY],
                request: r#"{"body": "Called back."}"#,
                answer: (201, r#"{"id": "01k…", "card": "01k…", "body": "Called back."}"#),
            },
            Operation {
                method: "GET",
                path: "/orgs/{org}/cards/{card}/timeline",
                key: "api-timeline",
                role: "guest",
                params: &[LIMIT, CURSOR],
                request: "",
                answer: (
                    200,
                    r#"{"items": [{"number": 7, "at": "2026-11-24T05:31:07.000Z", "kind": "card.created"}], "next_cursor": null}"#,
                ),
            },
        ],
    },
    Group {
        key: "api-hooks",
        operations: &[
            Operation {
                method: "POST",
                path: "/orgs/{org}/boards/{board}/hooks",
                key: "api-hooks-create",
                role: "admin",
                params: &[
                    must("name", "string", "api-param-hook-name"),
                    must("scheme", "string", "api-param-scheme"),
                    may("secret", "string", "api-param-secret"),
                    may("mapping", "object", "api-param-mapping"),
                    IDEMPOTENCY,
                ],
                request: r#"{"name": "Contact form", "scheme": "standard-webhooks",
 "mapping": {"title": "/data/subject", "fields": {"email": "/data/email"}}}"#,
                answer: (201, r#"{"id": "01k…", "url": "https://…/hooks/…", "secret": "whsec_…"}"#),
            },
            Operation {
                method: "GET",
                path: "/orgs/{org}/hooks/{hook}/deliveries",
                key: "api-deliveries",
                role: "admin",
                params: &[LIMIT, CURSOR],
                request: "",
                answer: (
                    200,
                    r#"{"items": [{"id": "01k…", "received_at": "2026-11-24T05:31:07.000Z",
   "outcome": "accepted", "card": "01k…", "duplicate_of": null}], "next_cursor": null}"#,
                ),
            },
        ],
    },
    Group {
        key: "api-people",
        operations: &[
            Operation {
                method: "GET",
                path: "/orgs/{org}/members",
                key: "api-members",
                role: "member",
                params: &[LIMIT, CURSOR],
                request: "",
                answer: (200, r#"{"items": [{"id": "01k…", "name": "…", "role": "member"}], "next_cursor": null}"#),
            },
            Operation {
                method: "GET",
                path: "/orgs/{org}/audit",
                key: "api-audit",
                role: "admin",
                params: &[LIMIT, CURSOR],
                request: "",
                answer: (
                    200,
                    r#"{"items": [{"number": 9, "at": "2026-11-24T05:31:07.000Z",
   "actor": {"kind": "user", "id": "01k…"}, "kind": "member.role"}], "next_cursor": null}"#,
                ),
            },
        ],
    },
];
