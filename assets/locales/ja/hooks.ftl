## 受信口の一覧
hooks-title = Webhook
hooks-back = { $board }へ戻る
hooks-list = 受信口
hooks-text = 外のサービスから届いた内容を、カードにします。
hooks-name = 名前
hooks-scheme = 確かめ方
hooks-latest = 最後の受信
hooks-received = 受信数
hooks-never = まだ届いていません
hooks-empty-title = 受信口はまだありません
hooks-empty = 受信口を作ると、アドレスと鍵が表示されます。アドレスを送信元の「Webhook URL」に、鍵を「署名の鍵（secret）」に貼り付けてください。届いた内容が、このボードのカードになります。
hooks-new = 受信口を作る
hooks-new-name-example = 例: お問い合わせフォーム
hooks-new-submit = 作る
scheme-standard-webhooks = Standard Webhooks
scheme-standard-webhooks-hint = 署名で送信元を確かめます。送信元が対応していれば、こちらを選んでください。
scheme-secret-url = 秘密のアドレス
scheme-secret-url-hint = アドレスを知っていることだけで確かめます。署名できない送信元に使います。

## 作成直後
hooks-made-title = 「{ $name }」を作りました
hooks-made-text = 送信元の設定画面に、次を貼り付けてください。
hooks-address = 受信アドレス
hooks-address-hint = 送信元の「Webhook URL」に貼り付けます。
hooks-address-secret-hint = このアドレスを知っている人は、カードを作れます。送信元の設定にだけ貼り付けてください。
hooks-secret = 署名の鍵
hooks-secret-hint = この画面を閉じると、二度と表示できません。無くしたときは、受信口を作り直してください。
hooks-once = 表示は今回だけです
hooks-made-open = 受信の記録を見る

## 受信口
hook-back = Webhook の一覧へ戻る
hook-address-hidden = アドレスは作成時にだけ表示しました。無くしたときは、受信口を作り直してください。
hook-test = 試しに送る
hook-test-standard = 署名に使う鍵を環境変数 SECRET に入れて、端末で実行してください。届くと、下の記録に載ります。
hook-test-url = 端末で実行してください。届くと、下の記録に載ります。
hook-deliveries = 受信の記録
hook-deliveries-hint = 新しい順
hook-deliveries-none-title = まだ届いていません
hook-deliveries-none = 送信元にアドレスを貼り付けるか、上の例で試してください。届いた内容は、すべてここに残ります。
hook-received = 受信
hook-outcome = 結果
hook-reason = 理由
hook-card = カード
hook-size = 大きさ
hook-older = 前の記録
hook-newer = 新しい記録
hook-open = { $when }の受信を開く
hook-settings = 設定
hook-rename = 保存
hook-remove = この受信口を削除
hook-remove-ask = 削除すると、このアドレスへの送信は断られます（410）。作成済みのカードと記録は残ります。
hook-remove-confirm = 削除する

outcome-accepted = 登録
outcome-held = 保留
outcome-ignored = 対象外
outcome-duplicate = 重複
outcome-refused = 拒否

## 受信の詳細
delivery-title = { $when }の受信
delivery-back = { $hook }へ戻る
delivery-summary = 結果
delivery-id = 配信 ID
delivery-type = 形式
delivery-size = 大きさ
delivery-card = カード
delivery-no-card = カードはありません
delivery-fields = 受信した内容
delivery-fields-none = 表にできる内容がありません。下の原文を見てください。
delivery-field = 項目
delivery-value = 値
delivery-raw = 原文
delivery-raw-cut = 先頭の { $shown } だけを表示しています。全体は { $size } あり、すべて保存しています。
delivery-raw-binary = 文字として表示できません。{ $size } を保存しています。
delivery-raw-gone = 原文は保存期間を過ぎたため、消去しました。
delivery-headers = ヘッダー
delivery-headers-hint = 鍵や署名にあたる値は伏せています。
