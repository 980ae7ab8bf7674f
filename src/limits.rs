//! Every named limit, in one place; the guide lists them for people.
//!
//! A name ends in its unit and `MAX`. "Chars" are Unicode scalar values, not bytes.

/// A card's title.
pub const TITLE_CHARS_MAX: usize = 500;
/// A comment, and a field of long text.
pub const COMMENT_BYTES_MAX: usize = 64 * 1024;
/// A text field of a card.
pub const TEXT_FIELD_CHARS_MAX: usize = 2_000;
/// The name of an organization, board, status, label, view, endpoint or person.
pub const NAME_CHARS_MAX: usize = 100;
/// The key by which payloads and the API call a field.
pub const FIELD_KEY_CHARS_MAX: usize = 40;

/// Fields a board.
pub const FIELDS_MAX: usize = 100;
/// Statuses a board.
pub const STATUSES_MAX: usize = 50;
/// Labels a board.
pub const LABELS_MAX: usize = 200;
/// Boards an organization.
pub const BOARDS_MAX: usize = 1_000;
/// Cards an organization.
pub const CARDS_MAX: usize = 1_000_000;
/// Bytes of records an organization, unless operators say otherwise: 20 GiB.
pub const ORGANIZATION_BYTES_DEFAULT: u64 = 20 << 30;
/// Deliveries a minute of all webhook endpoints of an organization, unless operators say otherwise.
pub const DELIVERIES_PER_MINUTE_DEFAULT: u64 = 1_000_000;
/// Members an organization.
pub const MEMBERS_MAX: usize = 5_000;
/// API tokens an organization.
pub const TOKENS_MAX: usize = 200;
/// Sessions a user.
pub const SESSIONS_MAX: usize = 50;
/// Live streams a user.
pub const LIVE_STREAMS_MAX: usize = 20;

/// One attachment.
pub const ATTACHMENT_BYTES_MAX: usize = 25 * 1024 * 1024;
/// Attachments a card.
pub const ATTACHMENTS_MAX: usize = 100;

/// The body of a webhook delivery, unless its endpoint says otherwise.
pub const WEBHOOK_BODY_BYTES_DEFAULT: usize = 1024 * 1024;
/// The most that an endpoint may be set to accept.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 25 * 1024 * 1024;
/// Arrays and objects inside each other in a payload.
pub const PAYLOAD_NESTING_MAX: usize = 128;
/// Values in a payload, counting arrays, objects and what they hold. A value takes up to 40 times its text in memory,
/// so the body's limit alone does not bound it.
pub const PAYLOAD_VALUES_MAX: usize = 100_000;
/// A delivery id given by a sender.
pub const DELIVERY_ID_CHARS_MAX: usize = 256;
/// One template of a mapping.
pub const TEMPLATE_CHARS_MAX: usize = 2_000;
/// Rows of a payload shown on a card or a delivery's page.
pub const PAYLOAD_ROWS_MAX: usize = 200;

/// Commands in one commit of a store.
pub const GROUP_COMMIT_COMMANDS_MAX: usize = 256;
/// Bytes of commands in one commit of a store.
pub const GROUP_COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Commands that wait for a store's writer; beyond it, 503.
pub const STORE_QUEUE_COMMANDS_MAX: usize = 4_096;
