## Endpoints
hooks-title = Webhooks
hooks-back = Back to { $board }
hooks-list = Endpoints
hooks-text = Turns what other services send into cards.
hooks-name = Name
hooks-scheme = Checked by
hooks-latest = Last received
hooks-received = Received
hooks-never = Nothing yet
hooks-empty-title = No endpoints yet
hooks-empty = Create one to get an address and a key. Paste the address into the sender's “Webhook URL” and the key into its “signing secret”. What arrives becomes a card on this board.
hooks-new = New endpoint
hooks-new-name-example = Example: Contact form
hooks-new-submit = Create
scheme-standard-webhooks = Standard Webhooks
scheme-standard-webhooks-hint = Checks the sender by signature. Choose this if the sender supports it.
scheme-secret-url = Secret address
scheme-secret-url-hint = Whoever knows the address may send. For senders that cannot sign.

## Just created
hooks-made-title = “{ $name }” is ready
hooks-made-text = Paste these into the sender's settings.
hooks-address = Address
hooks-address-hint = Goes into the sender's “Webhook URL”.
hooks-address-secret-hint = Whoever knows this address can create cards. Paste it into the sender's settings only.
hooks-secret = Signing key
hooks-secret-hint = Once you leave this page it cannot be shown again. If you lose it, create another endpoint.
hooks-once = Shown only this once
hooks-made-open = See deliveries

## Endpoint
hook-back = Back to webhooks
hook-address-hidden = The address was shown only when it was made. If you lost it, create another endpoint.
hook-test = Send a test
hook-test-standard = Put the signing key into the environment variable SECRET and run this in a terminal. The delivery shows up below.
hook-test-url = Run this in a terminal. The delivery shows up below.
hook-deliveries = Deliveries
hook-deliveries-hint = Newest first
hook-deliveries-none-title = Nothing received yet
hook-deliveries-none = Paste the address into the sender, or try the example above. Everything that arrives is kept here.
hook-received = Received
hook-outcome = Outcome
hook-reason = Reason
hook-card = Card
hook-size = Size
hook-older = Older
hook-newer = Newer
hook-open = Open the delivery of { $when }
hook-settings = Settings
hook-rename = Save
hook-remove = Delete this endpoint
hook-remove-ask = Deliveries to this address are then refused (410). Cards and records made so far stay.
hook-remove-confirm = Delete

outcome-accepted = Accepted
outcome-held = Held
outcome-ignored = Ignored
outcome-duplicate = Duplicate
outcome-refused = Refused

## Delivery
delivery-title = Delivery of { $when }
delivery-back = Back to { $hook }
delivery-summary = Outcome
delivery-id = Delivery ID
delivery-type = Type
delivery-size = Size
delivery-card = Card
delivery-no-card = No card
delivery-fields = What arrived
delivery-fields-none = Nothing here fits a table. See the raw text below.
delivery-field = Field
delivery-value = Value
delivery-raw = Raw text
delivery-raw-cut = Showing the first { $shown } only. All { $size } are kept.
delivery-raw-binary = This cannot be shown as text. { $size } are kept.
delivery-raw-gone = The raw text was erased after its retention time.
delivery-headers = Headers
delivery-headers-hint = Values that are keys or signatures are masked.
