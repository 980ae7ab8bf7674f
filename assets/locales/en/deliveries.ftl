# Why a webhook delivery was held or refused, and what is wrong with a mapping. Arguments are ready-made texts.
delivery-held-empty = The body is empty.
delivery-held-unknown-type = Bodies of type { $type } are not read. Have the sender post JSON.
delivery-held-unknown-charset = The charset { $charset } is unknown. Have the sender post UTF-8.
delivery-held-not-in-charset = The body is not { $charset }. Have the sender name the charset that it uses.
delivery-held-malformed-json = The body is not JSON: look at line { $line }, column { $column }.
delivery-held-lone-surrogate = The body holds half a character: a \u escape of a surrogate without its partner.
delivery-held-too-deep = The body is nested more than { $max } deep.
delivery-held-too-many-values = The body has more than { $max } values.

delivery-refused-missing-header = The header { $header } is missing.
delivery-refused-bad-id = The delivery id is not 1 to 256 visible ASCII characters.
delivery-refused-bad-timestamp = The timestamp is not a number of seconds since 1970.
delivery-refused-timestamp-outside = The delivery's time is { $seconds } seconds away from this machine's clock; at most 300 are accepted. Check both clocks.
delivery-refused-no-known-version = The delivery has no signature of version v1.
delivery-refused-no-match = The signature does not match. Compare the secret with the sender's; a proxy may also have changed the body.

signing-secret-not-base64 = A signing secret is whsec_ followed by base64.
signing-secret-length = The signing secret has { $bytes } bytes; 24 to 64 are required.

mapping-rule-not-object = This must be an object.
mapping-rule-missing = This is required.
mapping-rule-not-text = This must be a text.
mapping-rule-unknown = There is no such member. Use title, status, fields and key.
mapping-rule-too-many-fields = There are more than { $max } fields.
mapping-rule-no-such-field = The board has no text field of this key.
mapping-rule-not-pointer = This must be one pointer, beginning with /.
template-error-empty = This must not be empty.
template-error-too-long = This has { $chars } characters. Shorten it to { $max }.
template-error-unclosed = The brace at character { $at } is not closed. For a brace as such, write it twice.
template-error-stray = The brace at character { $at } closes nothing. For a brace as such, write it twice.
template-error-not-pointer = “{ $text }” is not a pointer. A pointer begins with /, like /data/title.
template-error-bad-escape = “{ $text }” has a ~ that is neither ~0 (for ~) nor ~1 (for /).
