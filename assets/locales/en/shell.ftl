### The frame of every page, and what scripts say

shell-skip = Skip to content
shell-menu = Menu
shell-menu-short = Bottom menu
shell-menu-tab = Menu
shell-home = Home
shell-organization = Organization
shell-organizations = { $n ->
    [one] { $n } organization
   *[other] { $n } organizations
}
shell-switch = Switch organization
shell-boards = Boards
shell-new-board = New board
shell-more = More
shell-members = Members
shell-settings = Settings
shell-profile = Profile
shell-sign-out = Sign out
shell-console = Operations console
shell-console-overview = Overview
shell-console-organizations = Organizations
shell-console-snapshots = Snapshots
shell-console-mail = Mail
shell-leave-console = To your organizations
shell-offline = The connection is down. Changes will follow from where they stopped once it is back.

## What scripts say. Arguments are passed as marks such as { "{" }actor{ "}" }.
js-undo = Undo
js-show = Show
js-error = Not done. Try again.
js-offline = The connection is down, so nothing can be changed. Your text is still here.
js-back = Connected again.
js-loading = Loading
js-reloaded = Much has changed, so the board was loaded anew.
js-copied = Address copied.
js-here = This column
js-open = Open
js-archive = Archive
js-move-to = Move to
js-moved-to = { $number } moved to “{ $status }”.
js-archived = { $number } archived.
js-not-moved = Not moved. The card is back in its place.
js-not-saved = Not saved. Your text is still here.
js-created = { $actor } added this just now
js-moved = { $actor } moved this just now
js-changed = { $actor } changed this just now
js-commented = { $actor } commented just now
js-assigned = { $actor } changed assignees just now
js-labelled = { $actor } changed labels just now
js-restored = { $actor } restored this just now
js-removed = { $actor } took { $number } off the board.
js-drawer-changed = { $actor } changed this card. What you are typing is still here.
