## Sign-in
gate-sign-in-title = Sign in
gate-mail = Mail address
gate-mail-example = name@example.com
gate-mail-hint = You get a 6-digit code by mail. There are no passwords.
gate-send-code = Send code
gate-mail-invalid = This is not a mail address. Your text is still here. Example: name@example.com
gate-mail-too-many = Too many codes were sent. Wait about an hour, then try again.
gate-mail-off-title = Mail is not set up
gate-mail-off = Codes cannot be mailed. Ask the operator for a sign-in link.
gate-mail-slow = Mail is slow at the moment. If nothing arrives, ask the operator.

## Code
gate-code-title = Enter the code
gate-code-sent = A mail is on its way to { $mail }. The code works once, for 15 minutes.
gate-code = 6-digit code
gate-code-submit = Sign in
gate-code-wrong = { $left ->
    [0] Wrong code, and no tries left. Send a new code.
    [one] Wrong code. 1 try left.
   *[other] Wrong code. { $left } tries left.
}
gate-code-spent = This code has expired or was already used. Send a new code.
gate-code-day = Too many tries for this address today. Try again tomorrow.
gate-code-missing = Nothing there? Check the spam folder too.
gate-resend = Send again
gate-resent = Sent again. The earlier code works until it expires.
gate-other-address = Use another address

## Internal certificate authority
gate-ca-title = If the browser shows a warning
gate-ca-text = Add this appliance's certificate to your device and the warning goes away.
gate-ca-download = Download certificate
gate-ca-steps = How to add it
gate-ca-check = Check with the operator that the file's fingerprint (SHA-256) is this one.
gate-ca-windows = Windows: open the file, choose Install Certificate, and place it in Trusted Root Certification Authorities.
gate-ca-macos = macOS: open the file, add it to the keychain, and set it to Always Trust.
gate-ca-ios = iPhone and iPad: install the profile in Settings, then switch it on under Certificate Trust Settings.
gate-ca-android = Android: in Settings, choose Install a certificate, then CA certificate.
gate-ca-linux = Linux: in Firefox, use Settings, Certificates; for others, add it to the system's certificates.

## Sign-in link
gate-link-title = Sign in
gate-link-text = The button signs you in on this browser.
gate-link-text-for = The button signs you in on this browser as { $mail }.
gate-link-submit = Sign in
gate-link-elsewhere-title = Continue with the code
gate-link-elsewhere = This link works only in the browser where you started. Type the 6-digit code at the top of the mail into that page.
gate-link-elsewhere-own = If you did not ask for this, do nothing. Nobody is signed in.
gate-link-elsewhere-again = Start in this browser
gate-link-spent-title = This link does not work
gate-link-spent = It has expired or was already used. Send a new code from the sign-in page.
gate-link-spent-operator = If the link was made on the server, run this again:
gate-to-sign-in = Go to sign-in

## First operator
gate-first-title = First, your name
gate-first-text = You become the first operator. Next you can create an organization and invite members.
gate-first-name = Name
gate-first-name-hint = Members see this name. You can change it later.
gate-first-name-missing = A name is needed. Your other entries are still here.
gate-first-mail = Mail address (optional)
gate-first-mail-hint = Used for signing in from now on and for incident notices. Without it, you sign in by a link made on the server.
gate-first-submit = Start

## Invitation
invitation-title = You are invited
invitation-text = { $inviter } invited you to “{ $org }”.
invitation-org = Organization
invitation-inviter = Invited by
invitation-role = Role
invitation-mail = Sent to
invitation-expires = Expires
invitation-sign-in = Sign in to join
invitation-sign-in-hint = A 6-digit code goes to { $mail } to make sure that it is you.
invitation-name = Name
invitation-name-hint = This organization's members see this name. You can change it later.
invitation-join = Join
invitation-expired-title = This invitation has expired
invitation-expired = It was valid until { $expires }. Ask { $inviter } to send it again.
invitation-revoked-title = This invitation was withdrawn
invitation-revoked = If you need access, ask an admin of the organization.
invitation-accepted-title = This invitation was already accepted
invitation-accepted = Sign in to open the organization.
invitation-unknown-title = Invitation not found
invitation-unknown = Check in the mail that the address was copied in full.
invitation-other-title = This invitation is for another address
invitation-other = It was sent to { $mail }. You are signed in as { $current }.
invitation-other-do = Sign out, then sign in with the invited address.
invitation-sign-out = Sign out
invitation-home = Back to my organizations
