## Choosing an organization
choose-title = Choose an organization
choose-text = Choose the one to open. You can switch later from its name at the top left.
choose-none-title = You are not in any organization
choose-none = Ask an admin to invite this address: { $mail }
choose-console = Open the operators' console

## Home
home-title = Home
home-boards = Boards
home-new-board = Create board
home-open-cards = { $n ->
    [one] 1 card
   *[other] { $n } cards
}
home-open-label = Open cards
home-latest = Changed { $when }
home-untouched = Nothing has happened yet
home-private = Private
home-activity = Recent activity
home-activity-none = New and moved cards are listed here.
home-empty-title = Create the first board
home-empty = A template gives you a board with its columns in place. You can change them later.
home-empty-guest-title = No boards yet
home-empty-guest = Boards appear here once you are added to them.

## New board
new-board-title = Create board
new-board-name = Board name
new-board-name-example = Example: Inquiries
new-board-template = Template
new-board-template-hint = Statuses can be renamed, added and removed afterwards.
new-board-submit = Create board
new-board-cancel = Cancel

template-empty-hint = Starts with the fewest columns.
template-inquiries-hint = For questions that arrive by form or mail.
template-tasks-hint = For sharing a team's work.
template-hiring-hint = For following each applicant.
template-expenses-hint = For claims, from request to payment.

## Roles
role-owner = Owner
role-owner-hint = All settings, export, erasing the organization
role-admin = Admin
role-admin-hint = Members, board settings, reading the records
role-member = Member
role-member-hint = Adding and editing cards, creating boards
role-guest = Guest
role-guest-hint = Reading and commenting on boards they are added to

## Members
members-title = Members
members-count = { $n ->
    [one] 1 person
   *[other] { $n } people
}
members-name = Name
members-mail = Mail address
members-role = Role
members-joined = Joined
members-actions = Actions
members-me = You
members-role-about = What roles may do
members-role-of = Role of { $name }
members-role-save = Change
members-remove = Remove
members-remove-of = Remove { $name } from the organization
members-remove-ask = They can no longer open this organization. Their name stays on what they did.
members-remove-confirm = Remove from organization
members-last-owner = This is the last owner. Make someone else an owner before changing or removing this role.
members-invite-title = Invite
members-invite-hint = Sends an invitation by mail, valid for 7 days.
members-invite-mail = Mail address
members-invite-submit = Send invitation
members-invite-role = Role
members-pending = Pending invitations
members-pending-none = No invitations are waiting for an answer.
members-sent = Sent
members-expires = Expires
members-expired = Expired
members-resend = Send again
members-resend-of = Send again: invitation to { $mail }
members-revoke = Withdraw
members-revoke-of = Withdraw the invitation to { $mail }
members-mail-off = Mail is not set up, so invitations wait in the queue. Tell the operator.
members-leave-title = Leave the organization
members-leave-text = You can no longer open this organization. Your name stays on what you did. Coming back takes a new invitation.
members-leave = Leave organization
members-leave-ask = You are about to leave “{ $org }”.
members-leave-confirm = Leave
members-leave-last-owner = The last owner cannot leave. Make someone else an owner first.

## Organization settings
org-settings-title = Organization settings
org-settings-general = General
org-settings-name = Organization name
org-settings-name-hint = Shown to all members and in invitation mails.
org-settings-save = Save
org-settings-tokens = API tokens
org-settings-tokens-text = Keys for other programs to read and write this organization's data.
org-settings-tokens-docs = About the API
org-settings-tokens-none = There are no tokens.
org-settings-token-name = What it is for
org-settings-token-name-example = Example: link to the order system
org-settings-token-role = Role
org-settings-token-days = Valid for
org-settings-token-days-of = { $days } days
org-settings-token-create = Create token
org-settings-token-expires = Expires
org-settings-token-expired = Expired
org-settings-token-revoke = Revoke
org-settings-token-revoke-of = Revoke the token “{ $name }”
org-settings-token-revoke-ask = Programs that use this token are cut off at once.
org-settings-once = Shown only this once
org-settings-once-hint = Once you leave this page it cannot be shown again. If you lose it, revoke it and make another.
org-settings-token-new = New token “{ $name }”
org-settings-audit = Audit log
org-settings-audit-hint = Latest { $n }
org-settings-audit-none = Changes to settings and members are listed here.
org-settings-audit-when = When
org-settings-audit-who = Who
org-settings-audit-what = What
rooms-copy = Copy

## Profile
profile-title = My settings
profile-display = Display
profile-language = Language
profile-theme = Colours
profile-theme-auto = Follow the device
profile-theme-light = Light
profile-theme-dark = Dark
profile-save = Save
profile-names = Names
profile-names-hint = You can use another name in each organization.
profile-name-in = Name in “{ $org }”
profile-sessions = Signed-in devices
profile-sessions-hint = Sign out any that you do not recognise.
profile-session-client = Device
profile-session-began = Since
profile-session-seen = Last seen
profile-session-current = This device
profile-session-revoke = Sign out
profile-session-revoke-of = Sign out { $client } (since { $began })
profile-sign-out = Sign out
profile-sign-out-text = Signs out this device. Anything not yet saved is lost.
