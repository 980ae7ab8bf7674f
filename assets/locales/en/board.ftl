### Board, card, list, board settings

## Kinds of status
shape-todo = To do
shape-doing = In progress
shape-review = In review
shape-waiting = Waiting
shape-done = Done

## Board
board-views = View
board-as-board = Board
board-as-list = List
board-hooks = Webhooks
board-menu = Board actions
board-settings = Board settings
board-archive = Archived cards
board-trash = Trash
board-keys = Keyboard shortcuts
board-add-card = Add card
board-search = Search this board
board-total = { $n ->
    [one] { $n } card
   *[other] { $n } cards
}
board-jump = Go to column
board-more = Show { $n } more
board-column-settings = Settings of “{ $name }”
board-no-columns = No columns yet
board-no-columns-why = Add statuses in the settings; each is a column.
board-empty-column = No cards
board-empty-column-why = A card moved here becomes “{ $name }”.
board-new-title = Title of a new card in “{ $name }”
board-add = Add
board-stop = Cancel
board-enter-adds = Enter adds
board-close = Close
board-back = Back to the board

## Keyboard shortcuts
keys-title = Keyboard shortcuts
keys-walk = Walk between cards
keys-walk-too = Walk between cards (left, down, up, right)
keys-open = Open the card
keys-next = Previous card, next card
keys-new = Add a card
keys-move = Move to the column of that number
keys-archive = Archive
keys-search = Search
keys-on = Use single-key shortcuts
keys-close = Close, undo an edit

## Card
card-unread = Unread
card-overdue = Overdue
card-comments = Comments
card-menu = Actions for #{ $n } (move and more)
card-menu-label = Card actions
card-dialog = Card
card-typed = What you typed
card-content = Content of the card
card-copy-address = Copy address
card-previous = Previous card
card-next = Next card
card-actions = Actions
card-archive = Archive
card-archived = Archived
card-archived-why = This card is archived. Restore it to change it.
card-archived-toast = #{ $n } archived.
card-trashed-toast = #{ $n } moved to the trash.
card-trash = Delete
card-trashed = In the trash
card-trashed-why = This card is deleted. It will be erased on { $day }.
card-restore = Restore
card-restore-number = Restore #{ $n }
card-title = Title
card-body = Description
card-write-body = Write a description
card-edit-body = Edit description
card-markdown = Markdown works here
card-save = Save
card-move = Move
card-clash = { $actor } changed the same field. Both values are kept.
card-clash-mine = Yours
card-clash-theirs = By { $actor }
card-keep-mine = Save yours
card-take-theirs = Take theirs
card-empty-value = (empty)
card-received = Received content
card-deliveries = Deliveries
card-verified = Signature verified
card-timeline = Timeline
card-comment = Comment
card-write-comment = Write a comment
card-send = Send
card-fields = Fields
card-status = Status
card-assignees = Assignees
card-assign = Assign
card-unassign = Unassign
card-nobody = Nobody
card-due = Due
card-no-due = No due date
card-clear-due = Clear due date
card-labels = Labels
card-no-labels = None
card-put-label = Add
card-take-label = Remove
card-created = Created
card-updated = Updated

## Sentences of the timeline. $actor and $to are set in bold.
timeline-created = { $actor } added this to { $to }
timeline-received = Received from { $actor } and added to { $to }
timeline-moved = { $actor } changed the status: { $from } → { $to }
timeline-title = { $actor } changed the title: { $from } → { $to }
timeline-body = { $actor } changed the description
timeline-due-set = { $actor } set the due date to { $to }
timeline-due-changed = { $actor } changed the due date: { $from } → { $to }
timeline-due-cleared = { $actor } cleared the due date
timeline-assigned-self = { $actor } took this card
timeline-assigned = { $actor } assigned { $to }
timeline-unassigned = { $actor } unassigned { $to }
timeline-labelled = { $actor } added the label { $to }
timeline-unlabelled = { $actor } removed the label { $to }
timeline-field-set = { $actor } set { $field } to { $to }
timeline-field-changed = { $actor } changed { $field }: { $from } → { $to }
timeline-field-cleared = { $actor } emptied { $field }
timeline-archived = { $actor } archived this card
timeline-trashed = { $actor } deleted this card
timeline-restored = { $actor } restored this card

## Dates and times
when-today = Today
when-yesterday = Yesterday
when-tomorrow = Tomorrow
when-now = just now
when-minutes = { $n ->
    [one] { $n } minute ago
   *[other] { $n } minutes ago
}
when-overdue = { $n ->
    [one] { $n } day overdue
   *[other] { $n } days overdue
}
when-left = { $n ->
    [one] { $n } day left
   *[other] { $n } days left
}
when-day = { $month } { $day }
when-day-weekday = { $weekday }, { $month } { $day }
when-day-time = { $month } { $day }, { $time }
when-year-day = { $month } { $day }, { $year }
when-month-1 = Jan
when-month-2 = Feb
when-month-3 = Mar
when-month-4 = Apr
when-month-5 = May
when-month-6 = Jun
when-month-7 = Jul
when-month-8 = Aug
when-month-9 = Sep
when-month-10 = Oct
when-month-11 = Nov
when-month-12 = Dec
when-weekday-1 = Mon
when-weekday-2 = Tue
when-weekday-3 = Wed
when-weekday-4 = Thu
when-weekday-5 = Fri
when-weekday-6 = Sat
when-weekday-7 = Sun

## List
list-region = List of cards
list-number = No.
list-updated = Updated
list-pages = Pages
list-previous = Previous
list-next = Next
list-all = Show all
list-empty = No cards yet
list-empty-why = Add the first card on the board; it will be listed here.
list-none-found = Nothing matches “{ $query }”
list-none-found-why = Titles and descriptions were searched. Fewer letters may find more.

## Archive and trash
archive-empty = No archived cards
archive-empty-why = Archive a card that is finished: it leaves the board and stays here.
archive-when = Archived
trash-empty = The trash is empty
trash-empty-why = Deleted cards stay here for 30 days and can be restored.
trash-when = Deleted
trash-left = Erased in

## Board settings
settings-name = Board name
settings-statuses = Statuses
settings-statuses-why = The leftmost status receives new cards
settings-status-name = Status name
settings-status-kind = Kind
settings-status-kept = { $n ->
    [0] A board needs at least one status.
    [one] It holds { $n } card, so it cannot be erased.
   *[other] It holds { $n } cards, so it cannot be erased.
}
settings-new-status = Name of a new status
settings-up = Move up
settings-down = Move down
settings-erase = Erase
settings-actions = Actions for “{ $name }”
settings-label-name = Label name
settings-label-hue = Colour
settings-label-worn = { $n ->
    [one] Taken off { $n } card.
   *[other] Taken off { $n } cards.
}
settings-new-label = Name of a new label
settings-no-labels = No labels yet.
settings-fields-why = Text that stands beside each card
settings-field-label = Field name
settings-field-key = Key
settings-field-key-rule = The key is the field's name for webhooks and the API: lower-case letters, digits and _, starting with a letter. It cannot be changed later.
settings-field-erase-why = The values of this field are erased from all cards.
settings-new-field = Name of a new field
settings-no-fields = No fields yet.
settings-guests = Guests
settings-guests-why = Guests see only the boards that they are admitted to
settings-no-guests = This organization has no guests.
settings-guest-sees = Sees this board
settings-guest-admit = Admit
settings-guest-dismiss = Dismiss
settings-archive = Archive the board
settings-archive-why = It leaves the menu. Its cards are kept, and it can come back at any time.
settings-archive-do = Archive board
