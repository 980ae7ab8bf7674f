## サインイン
gate-sign-in-title = サインイン
gate-mail = メールアドレス
gate-mail-example = name@example.jp
gate-mail-hint = 6桁のコードをお送りします。パスワードは使いません。
gate-send-code = コードを送る
gate-mail-invalid = メールアドレスの形ではありません。入力した内容は残っています。例: name@example.jp
gate-mail-too-many = コードの送信が続いています。1時間ほど待ってから、もう一度お試しください。
gate-mail-off-title = メールを送る設定がありません
gate-mail-off = コードをメールで送れません。サインイン用のリンクを、運用者に発行してもらってください。
gate-mail-slow = メールの送信が遅れています。届かないときは、運用者にお問い合わせください。

## コード
gate-code-title = コードを入力してください
gate-code-sent = { $mail } にメールをお送りしました。コードは15分間、一度だけ使えます。
gate-code = 6桁のコード
gate-code-submit = サインイン
gate-code-wrong = { $left ->
    [0] コードが違います。もう入力できません。新しいコードを送ってください。
   *[other] コードが違います。あと{ $left }回入力できます。
}
gate-code-spent = このコードは期限が切れたか、もう使われています。新しいコードを送ってください。
gate-code-day = このアドレスでの入力が続いたため、今日は受け付けられません。明日、もう一度お試しください。
gate-code-missing = 迷惑メールの振り分けも、ご確認ください。
gate-resend = もう一度送る
gate-resent = もう一度お送りしました。前のコードも、期限までは使えます。
gate-other-address = 別のアドレスを使う

## 社内の認証局
gate-ca-title = ブラウザーに警告が出るときは
gate-ca-text = この機器の証明書を端末に追加すると、警告は出なくなります。
gate-ca-download = 証明書をダウンロード
gate-ca-steps = 追加の手順
gate-ca-check = ダウンロードしたら、指紋（SHA-256）が次と同じか、運用者にお確かめください。
gate-ca-windows = Windows: ファイルを開き、「証明書のインストール」で「信頼されたルート証明機関」に置きます。
gate-ca-macos = macOS: ファイルを開いてキーチェーンに追加し、「常に信頼」にします。
gate-ca-ios = iPhone・iPad: 設定の「プロファイル」で入れたあと、「証明書信頼設定」で有効にします。
gate-ca-android = Android: 設定の「証明書のインストール」で「CA 証明書」を選びます。
gate-ca-linux = Linux: Firefox は設定の「証明書」から、ほかは OS の証明書置き場に追加します。

## サインイン用のリンク
gate-link-title = サインイン
gate-link-text = ボタンを押すと、このブラウザーでサインインします。
gate-link-text-for = ボタンを押すと、このブラウザーで { $mail } としてサインインします。
gate-link-submit = サインインする
gate-link-elsewhere-title = コードで続けてください
gate-link-elsewhere = このリンクは、サインインを始めたブラウザーでだけ使えます。メールの先頭にある6桁のコードを、元の画面に入力してください。
gate-link-elsewhere-own = 心当たりがないときは、何もしないでください。サインインは行われません。
gate-link-elsewhere-again = このブラウザーで始める
gate-link-spent-title = このリンクは使えません
gate-link-spent = 期限が切れたか、もう使われています。サインインの画面から、新しいコードを送ってください。
gate-link-spent-operator = サーバーで発行したリンクだったときは、もう一度、次を実行してください。
gate-to-sign-in = サインインの画面へ

## 最初の運用者
gate-first-title = はじめに、お名前を教えてください
gate-first-text = あなたが最初の運用者になります。このあと組織を作り、メンバーを招待できます。
gate-first-name = 名前
gate-first-name-hint = メンバーに表示される名前です。あとで変えられます。
gate-first-name-missing = 名前を入力してください。入力した内容は残っています。
gate-first-mail = メールアドレス（任意）
gate-first-mail-hint = 次からのサインインと、障害の知らせに使います。無いときは、サーバーで発行するリンクでサインインします。
gate-first-submit = 始める

## 招待
invitation-title = 組織への招待
invitation-text = { $inviter }さんが、あなたを「{ $org }」に招待しました。
invitation-org = 組織
invitation-inviter = 招待した人
invitation-role = 役割
invitation-mail = 宛先
invitation-expires = 期限
invitation-sign-in = サインインして参加する
invitation-sign-in-hint = { $mail } に6桁のコードを送り、ご本人であることを確かめます。
invitation-name = 名前
invitation-name-hint = この組織で表示される名前です。あとで変えられます。
invitation-join = 参加する
invitation-expired-title = 招待の期限が切れています
invitation-expired = 招待は{ $expires }までのものでした。{ $inviter }さんに、もう一度送ってもらってください。
invitation-revoked-title = この招待は取り消されています
invitation-revoked = 必要なときは、組織の管理者にお問い合わせください。
invitation-accepted-title = この招待は受け取り済みです
invitation-accepted = サインインすると、組織が開きます。
invitation-unknown-title = 招待が見つかりません
invitation-unknown = アドレスが途中で切れていないか、メールの内容をご確認ください。
invitation-other-title = 別のアドレスへの招待です
invitation-other = この招待は { $mail } 宛てです。いまは { $current } でサインインしています。
invitation-other-do = サインアウトしてから、招待されたアドレスでサインインしてください。
invitation-sign-out = サインアウト
invitation-home = 自分の組織へ戻る
