## Why something was refused. Nothing has changed.
refusal-not-found = Not found. It was deleted, or the address is wrong.
refusal-conflict = Somebody else changed the same field. Your text is still here.
refusal-stale = The card has changed in the meantime. Look at it as it is now, then try again.
refusal-status-gone = The status to move to is gone. Choose one of those that are left.
refusal-trashed = The card is in the trash. Restore it before changing it.
refusal-limit = There can be at most { $max }. Erase what is not used to make room.
refusal-taken = “{ $value }” exists already. Choose another name.
refusal-status-in-use = This status has { $cards } cards. Move them first.
refusal-last-status = A board needs at least one status.
refusal-unknown = “{ $value }” cannot be chosen.
refusal-last-owner = This is the last owner. Make somebody else an owner first.
refusal-above-own-role = A role above your own can be neither given nor changed.
refusal-already-member = The person with this address is a member already.
refusal-already-invited = This address is invited already. If nothing has arrived, use “Send again”.
refusal-expired = It has expired. Ask for a new one.
refusal-revoked = This invitation was withdrawn.
refusal-used = It was used already.
refusal-other-address = This invitation is for another address.
actor-hook = Webhook
actor-token = API
actor-operator = Operator
actor-system = Workrun
mail-actor-server = a command on the server

## Recent activity
activity-received = { $actor } received { $card }
activity-created = { $actor } added { $card }
activity-moved = { $actor } moved { $card } to “{ $status }”
activity-commented = { $actor } commented on { $card }
activity-archived = { $actor } archived { $card }
activity-trashed = { $actor } deleted { $card }
activity-restored = { $actor } restored { $card }
activity-changed = { $actor } changed { $card }

## Audit log
audit-founded = Created the organization “{ $name }”
audit-renamed = Renamed the organization from “{ $from }” to “{ $to }”
audit-invited = Invited somebody as { $role }
audit-invitation-resent = Sent an invitation again
audit-invitation-revoked = Withdrew an invitation
audit-joined = Joined as { $role }
audit-role = Changed the role of { $name } from { $from } to { $to }
audit-removed = Removed { $name } from the organization
audit-left = Left the organization
audit-profile = Changed their own name
audit-token = Created the API token “{ $name }” ({ $role })
audit-token-revoked = Revoked an API token
audit-link = Made a sign-in link for { $name }
audit-hook = Created the webhook “{ $name }”
audit-hook-renamed = Renamed the webhook from “{ $from }” to “{ $to }”
audit-hook-removed = Deleted a webhook
audit-board = Created the board “{ $board }”
audit-board-renamed = Renamed the board “{ $board }”
audit-board-archived = Archived or restored the board “{ $board }”
audit-board-statuses = Changed statuses of the board “{ $board }”
audit-board-fields = Changed fields of the board “{ $board }”
audit-board-labels = Changed labels of the board “{ $board }”
audit-board-guests = Changed guests of the board “{ $board }”

## Others
hook-untitled = Received { $endpoint } { $date }
invitation-other-current = another address
console-uptime-days = { $days } d { $hours } h
console-uptime-hours = { $hours } h { $minutes } min
console-mail-given-up = Given up
mail-kind-sign-in = Sign-in code
mail-kind-token = Notice to owners
mail-kind-link = Notice to owners
mail-kind-founded = Notice to a new owner
mail-kind-removed = Notice to a removed member
audit-quotas = Changed the organization's limits
audit-restored = Put the organization back from the snapshot { $generation }
refusal-quota-cards = There can be at most { $max } cards in all. Erase cards from the trash, or ask an operator for a higher limit. What you typed is still here.
refusal-quota-bytes = The data has reached its limit of { $max } MB. Erase what is not needed, or ask an operator for a higher limit. What you typed is still here.
refusal-quota-members = There can be at most { $max } members. Ask an operator for a higher limit.
