## 組織を選ぶ
choose-title = 組織を選ぶ
choose-text = 開く組織を選んでください。あとで左上の組織名から切り替えられます。
choose-none-title = 参加している組織がありません
choose-none = 組織の管理者に、このアドレスへの招待を頼んでください。{ $mail }
choose-console = 運用コンソールを開く

## ホーム
home-title = ホーム
home-boards = ボード
home-new-board = ボードを作る
home-open-cards = { $n }件
home-open-label = 進行中のカード
home-latest = { $when }に更新
home-untouched = まだ動きがありません
home-private = 限定公開
home-activity = 最近の動き
home-activity-none = カードの追加や移動が、ここに並びます。
home-empty-title = 最初のボードを作りましょう
home-empty = ひな形を選ぶと、状態の列が並んだボードができます。列はあとで変えられます。
home-empty-guest-title = まだボードがありません
home-empty-guest = ボードに加えられると、ここに表示されます。

## ボードを作る
new-board-title = ボードを作る
new-board-name = ボードの名前
new-board-name-example = 例: 問い合わせ対応
new-board-template = ひな形
new-board-template-hint = 状態の名前と数は、作ったあとで変えられます。
new-board-submit = ボードを作る
new-board-cancel = やめる

template-empty-hint = 最小の列から始めます。
template-inquiries-hint = フォームやメールで届く問い合わせに。
template-tasks-hint = チームの仕事の分担と進み具合に。
template-hiring-hint = 応募者ごとの選考の進み具合に。
template-expenses-hint = 申請から精算までの確認に。

## 役割
role-owner = オーナー
role-owner-hint = すべての設定、書き出し、組織の消去
role-admin = 管理者
role-admin-hint = メンバー、ボードの設定、記録の閲覧
role-member = メンバー
role-member-hint = カードの追加と編集、ボードの作成
role-guest = ゲスト
role-guest-hint = 加えられたボードの閲覧とコメント

## メンバー
members-title = メンバー
members-count = { $n }人
members-name = 名前
members-mail = メールアドレス
members-role = 役割
members-joined = 参加
members-actions = 操作
members-me = 自分
members-role-about = 役割でできること
members-role-of = { $name }の役割
members-role-save = 変更
members-remove = 外す
members-remove-of = { $name }を組織から外す
members-remove-ask = 外すと、この組織を開けなくなります。名前は、これまでの記録に残ります。
members-remove-confirm = 組織から外す
members-last-owner = 最後のオーナーです。役割を変えたり、外したりするには、先に別のオーナーを決めてください。
members-invite-title = 招待する
members-invite-hint = 招待のメールを送ります。7日間使えます。
members-invite-mail = メールアドレス
members-invite-submit = 招待を送る
members-invite-role = 役割
members-pending = 招待中
members-pending-none = 返事を待っている招待はありません。
members-sent = 送信
members-expires = 期限
members-expired = 期限切れ
members-resend = 送り直す
members-resend-of = { $mail } への招待を送り直す
members-revoke = 取り消す
members-revoke-of = { $mail } への招待を取り消す
members-mail-off = メールを送る設定がないため、招待の送信は待ち行列に残ります。運用者にお知らせください。
members-leave-title = 組織から抜ける
members-leave-text = 抜けると、この組織を開けなくなります。名前は、これまでの記録に残ります。戻るには、もう一度招待が必要です。
members-leave = 組織から抜ける
members-leave-ask = 「{ $org }」から抜けます。
members-leave-confirm = 抜ける
members-leave-last-owner = 最後のオーナーは抜けられません。先に別のオーナーを決めてください。

## 組織の設定
org-settings-title = 組織の設定
org-settings-general = 基本
org-settings-name = 組織の名前
org-settings-name-hint = メンバー全員と、招待のメールに表示されます。
org-settings-save = 保存
org-settings-tokens = API トークン
org-settings-tokens-text = ほかのプログラムから、この組織のデータを読み書きするための鍵です。
org-settings-tokens-docs = API の説明
org-settings-tokens-none = トークンはありません。
org-settings-token-name = 用途の名前
org-settings-token-name-example = 例: 受注システムとの連携
org-settings-token-role = 役割
org-settings-token-days = 期限
org-settings-token-days-of = { $days }日
org-settings-token-create = トークンを作る
org-settings-token-expires = 期限
org-settings-token-expired = 期限切れ
org-settings-token-revoke = 無効にする
org-settings-token-revoke-of = トークン「{ $name }」を無効にする
org-settings-token-revoke-ask = このトークンを使うプログラムは、すぐに接続できなくなります。
org-settings-once = 表示は今回だけです
org-settings-once-hint = この画面を閉じると、二度と表示できません。無くしたときは、無効にして作り直してください。
org-settings-token-new = 新しいトークン「{ $name }」
org-settings-audit = 監査の記録
org-settings-audit-hint = 新しいものから{ $n }件
org-settings-audit-none = 設定やメンバーの変更が、ここに並びます。
org-settings-audit-when = 日時
org-settings-audit-who = 誰が
org-settings-audit-what = 内容
rooms-copy = 写す

## 自分の設定
profile-title = 自分の設定
profile-display = 表示
profile-language = 言語
profile-theme = 配色
profile-theme-auto = 端末に合わせる
profile-theme-light = 明るい
profile-theme-dark = 暗い
profile-save = 保存
profile-names = 組織での名前
profile-names-hint = 組織ごとに、別の名前を使えます。
profile-name-in = 「{ $org }」での名前
profile-sessions = サインイン中の端末
profile-sessions-hint = 覚えのないものは、サインアウトさせてください。
profile-session-client = 端末
profile-session-began = 開始
profile-session-seen = 最後の利用
profile-session-current = この端末
profile-session-revoke = サインアウトさせる
profile-session-revoke-of = { $client }（{ $began }から）をサインアウトさせる
profile-sign-out = サインアウト
profile-sign-out-text = この端末からサインアウトします。入力の途中のものは残りません。
