# What is said when text that somebody typed is refused. Arguments are ready-made texts.
text-error-empty = Enter at least one visible character.
text-error-too-long = This has { $chars } characters. Shorten it to { $max }.
text-error-too-large = This has { $bytes } bytes. Shorten it to { $max }.
text-error-control-character = Character { $at } is a control character or a line break that cannot stand here. Remove it.
text-error-bidirectional-override = Character { $at } changes the direction of the text. Remove it.
text-error-not-in-key = Character { $at } cannot stand in a key. Use a to z, 0 to 9 and _ only.

date-error-shape = Write the date as year-month-day, like 2026-11-22.
date-error-no-such-day = The calendar has no such day.

mail-address-error-empty = Enter a mail address.
mail-address-error-not-one-at = A mail address has exactly one @.
mail-address-error-too-long = The mail address is too long: at most 64 characters before the @ and 254 in all.
mail-address-error-foreign-character = Character { $at } cannot stand in a mail address. Use half-width letters and no spaces.
mail-address-error-quoted = Mail addresses in quotation marks are not supported.
mail-address-error-local-part = Check the part before the @.
mail-address-error-domain = Check the part after the @.
