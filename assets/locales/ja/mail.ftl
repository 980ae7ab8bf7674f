## どのメールも文字だけです。件名に改行は入りません。

mail-code-subject = サインインのコード: { $code }
mail-code-body =
    { $code }

    Workrun のサインインのコードです。サインインを始めた画面に入力してください。15分間、一度だけ使えます。

    同じブラウザーでは、次のリンクからもサインインできます。
    { $link }

    始めた日時: { $when }
    端末: { $client }
    接続元: { $address }

    心当たりがないときは、何もしないでください。コードを人に教えないでください。

mail-invitation-subject = 「{ $org }」への招待
mail-invitation-body =
    { $inviter }さんが、あなたを「{ $org }」に招待しました。

    役割: { $role }
    期限: { $expires }

    参加するには、次のリンクを開いてください。
    { $link }

    { $mail } 宛ての招待です。ほかのアドレスでは参加できません。
    心当たりがないときは、何もしないでください。

mail-token-subject = 「{ $org }」に API トークンが作られました
mail-token-body =
    「{ $org }」のデータを読み書きできる API トークンが作られました。

    名前: { $name }
    役割: { $role }
    期限: { $expires }
    作った人: { $actor }
    日時: { $when }

    心当たりがないときは、組織の設定で無効にしてください。
    { $link }

    このメールは、組織のオーナー全員に送っています。

mail-link-subject = サインイン用のリンクが発行されました
mail-link-body =
    サーバーで、{ $subject } のサインイン用リンクが発行されました。

    組織: { $org }
    日時: { $when }

    運用者に心当たりがないときは、すぐに確かめてください。サインイン中の端末は、本人の設定の画面で確かめられます。
    { $link }

    このメールは、組織のオーナー全員に送っています。

mail-founded-subject = 「{ $org }」のオーナーになりました
mail-founded-body =
    組織「{ $org }」が作られ、あなたがオーナーになりました。

    次のリンクを開き、{ $mail } でサインインしてください。パスワードは使いません。
    { $link }

    サインインすると、メンバーを招待し、ボードを作れます。心当たりがないときは、何もしないでください。

mail-removed-subject = 「{ $org }」から外れました
mail-removed-body =
    { $actor }さんが、あなたを「{ $org }」から外しました。

    日時: { $when }

    お名前は、これまでの記録に残ります。心当たりがないときは、組織の管理者にお問い合わせください。

mail-operator-subject = [Workrun] { $alert }
mail-operator-body =
    { $alert }

    { $detail }

    機器: { $host }
    日時: { $when }

    いまの状態は、運用コンソールで確かめられます。
    { $link }

mail-operator-over-subject = [Workrun] 復旧: { $alert }
mail-operator-over-body =
    次の警告は、解消しました。

    { $alert }

    機器: { $host }
    始まり: { $began }
    解消: { $when }

mail-test-subject = [Workrun] メールの試し送り
mail-test-body =
    このメールが読めれば、{ $host } からのメールの設定は正しく動いています。

    日時: { $when }
