## All mails are plain text. Subjects have no line breaks.

mail-code-subject = Sign-in code: { $code }
mail-code-body =
    { $code }

    This is your Workrun sign-in code. Type it where you asked for it. It works once, for 15 minutes.

    In the same browser, this link signs you in too:
    { $link }

    Asked for: { $when }
    Device: { $client }
    From: { $address }

    If you did not ask for it, do nothing. Tell nobody the code.

mail-invitation-subject = Invitation to “{ $org }”
mail-invitation-body =
    { $inviter } invited you to “{ $org }”.

    Role: { $role }
    Expires: { $expires }

    Open this link to join:
    { $link }

    The invitation is for { $mail } and does not work for other addresses.
    If you did not expect it, do nothing.

mail-token-subject = An API token was made for “{ $org }”
mail-token-body =
    An API token was made that can use the data of “{ $org }”.

    Name: { $name }
    Role: { $role }
    Expires: { $expires }
    Made by: { $actor }
    When: { $when }

    If you did not expect it, revoke it in the organization's settings:
    { $link }

    This mail goes to all owners of the organization.

mail-link-subject = A sign-in link was made
mail-link-body =
    A sign-in link for { $subject } was made on the server.

    Organization: { $org }
    When: { $when }

    If the operator does not know about it, act at once. Signed-in devices are listed in each person's settings:
    { $link }

    This mail goes to all owners of the organization.

mail-founded-subject = You are the owner of “{ $org }”
mail-founded-body =
    The organization “{ $org }” was made, and you are its owner.

    Open this link and sign in as { $mail }. There is no password.
    { $link }

    Then invite members and make boards. If you did not expect it, do nothing.

mail-removed-subject = You were removed from “{ $org }”
mail-removed-body =
    { $actor } removed you from “{ $org }”.

    When: { $when }

    Your name stays on what you did. If you did not expect it, ask an admin of the organization.

mail-operator-subject = [Workrun] { $alert }
mail-operator-body =
    { $alert }

    { $detail }

    Appliance: { $host }
    When: { $when }

    The console has the present state:
    { $link }

mail-operator-over-subject = [Workrun] Over: { $alert }
mail-operator-over-body =
    This alert is over.

    { $alert }

    Appliance: { $host }
    Began: { $began }
    Over: { $when }

mail-test-subject = [Workrun] Test mail
mail-test-body =
    If you can read this, mail from { $host } is set up correctly.

    When: { $when }
