### ボード、カード、一覧、ボードの設定

## 状態の種類
shape-todo = 未着手
shape-doing = 進行中
shape-review = 確認中
shape-waiting = 待ち
shape-done = 完了

## ボード
board-views = 表示
board-as-board = ボード
board-as-list = リスト
board-hooks = Webhook
board-menu = ボードの操作
board-settings = ボードの設定
board-archive = 保管したカード
board-trash = ごみ箱
board-keys = キーボード操作
board-add-card = カードを追加
board-search = このボードを検索
board-total = { $n }件
board-jump = 列へ移動
board-more = ほか{ $n }件を表示
board-column-settings = 「{ $name }」の設定
board-no-columns = まだ列がありません
board-no-columns-why = 設定で状態を追加すると、列が並びます。
board-empty-column = カードはありません
board-empty-column-why = カードをここへ移すと「{ $name }」になります。
board-new-title = 「{ $name }」に追加するカードの題名
board-add = 追加
board-stop = やめる
board-enter-adds = Enter で追加
board-close = 閉じる
board-back = ボードへ戻る

## キーボード操作
keys-title = キーボード操作
keys-walk = カードの間を移動
keys-walk-too = カードの間を移動（左・下・上・右）
keys-open = カードを開く
keys-next = 前のカード、次のカード
keys-new = カードを追加
keys-move = 番号の列へ移す
keys-archive = 保管する
keys-search = 検索
keys-on = 1文字のキー操作を使う
keys-close = 閉じる、編集を取り消す

## カード
card-unread = 未読
card-overdue = 期限超過
card-comments = コメント
card-menu = #{ $n } の操作（移動など）
card-menu-label = カードの操作
card-dialog = カード
card-typed = 入力した内容
card-content = カードの内容
card-copy-address = アドレスを写す
card-previous = 前のカード
card-next = 次のカード
card-actions = 操作
card-archive = 保管する
card-archived = 保管中
card-archived-why = このカードは保管されています。変更するには、ボードに戻してください。
card-archived-toast = #{ $n } を保管しました。
card-trashed-toast = #{ $n } をごみ箱へ移しました。
card-trash = 削除する
card-trashed = ごみ箱
card-trashed-why = このカードは削除されています。{ $day }に消去されます。
card-restore = ボードに戻す
card-restore-number = #{ $n } をボードに戻す
card-title = 題名
card-body = 内容
card-write-body = 内容を書く
card-edit-body = 内容を編集
card-markdown = Markdown で書けます
card-save = 保存
card-move = 移す
card-clash = { $actor }が同じ項目を変更しました。どちらも残っています。
card-clash-mine = 自分の入力
card-clash-theirs = { $actor }の入力
card-keep-mine = 自分の入力を保存する
card-take-theirs = 相手の入力を使う
card-empty-value = （空）
card-received = 受信した内容
card-deliveries = 受信記録
card-verified = 署名を確認済み
card-timeline = 経過
card-comment = コメント
card-write-comment = コメントを書く
card-send = 送る
card-fields = 項目
card-status = 状態
card-assignees = 担当
card-assign = 担当にする
card-unassign = 担当から外す
card-nobody = 担当なし
card-due = 期限
card-no-due = 期限なし
card-clear-due = 期限をなくす
card-labels = ラベル
card-no-labels = なし
card-put-label = 付ける
card-take-label = 外す
card-created = 受付
card-updated = 最終更新

## 経過の文。$actor と $to は太字になります。
timeline-created = { $actor }が「{ $to }」に追加しました
timeline-received = { $actor }から受信し、「{ $to }」に追加しました
timeline-moved = { $actor }が状態を変更しました　{ $from } → { $to }
timeline-title = { $actor }が題名を変更しました　{ $from } → { $to }
timeline-body = { $actor }が内容を変更しました
timeline-due-set = { $actor }が期限を { $to } にしました
timeline-due-changed = { $actor }が期限を変更しました　{ $from } → { $to }
timeline-due-cleared = { $actor }が期限をなくしました
timeline-assigned-self = { $actor }が担当になりました
timeline-assigned = { $actor }が { $to } を担当にしました
timeline-unassigned = { $actor }が { $to } を担当から外しました
timeline-labelled = { $actor }がラベル { $to } を付けました
timeline-unlabelled = { $actor }がラベル { $to } を外しました
timeline-field-set = { $actor }が{ $field }を { $to } にしました
timeline-field-changed = { $actor }が{ $field }を変更しました　{ $from } → { $to }
timeline-field-cleared = { $actor }が{ $field }を空にしました
timeline-archived = { $actor }が保管しました
timeline-trashed = { $actor }が削除しました
timeline-restored = { $actor }がボードに戻しました

## 日付と時刻
when-today = 今日
when-yesterday = 昨日
when-tomorrow = 明日
when-now = たった今
when-minutes = { $n }分前
when-overdue = { $n }日超過
when-left = あと{ $n }日
when-day = { $month }月{ $day }日
when-day-weekday = { $month }月{ $day }日（{ $weekday }）
when-day-time = { $month }月{ $day }日 { $time }
when-year-day = { $year }年{ $month }月{ $day }日
when-month-1 = 1
when-month-2 = 2
when-month-3 = 3
when-month-4 = 4
when-month-5 = 5
when-month-6 = 6
when-month-7 = 7
when-month-8 = 8
when-month-9 = 9
when-month-10 = 10
when-month-11 = 11
when-month-12 = 12
when-weekday-1 = 月
when-weekday-2 = 火
when-weekday-3 = 水
when-weekday-4 = 木
when-weekday-5 = 金
when-weekday-6 = 土
when-weekday-7 = 日

## 一覧
list-region = カードの一覧
list-number = 番号
list-updated = 更新
list-pages = ページ
list-previous = 前へ
list-next = 次へ
list-all = すべて表示
list-empty = まだカードがありません
list-empty-why = ボードで最初のカードを追加すると、ここに並びます。
list-none-found = 「{ $query }」に合うカードはありません
list-none-found-why = 題名と内容を探しました。言葉を短くすると、見つかることがあります。

## 保管とごみ箱
archive-empty = 保管したカードはありません
archive-empty-why = 終わったカードを保管すると、ボードから外れてここに残ります。
archive-when = 保管
trash-empty = ごみ箱は空です
trash-empty-why = 削除したカードは30日間ここに残り、元に戻せます。
trash-when = 削除
trash-left = 消去まで

## ボードの設定
settings-name = ボードの名前
settings-statuses = 状態
settings-statuses-why = 左端の状態が、新しいカードを受け取ります
settings-status-name = 状態の名前
settings-status-kind = 種類
settings-status-kept = { $n ->
    [0] 状態は1つ以上必要です。
   *[other] カードが{ $n }件あるため、消去できません。
}
settings-new-status = 新しい状態の名前
settings-up = 前へ
settings-down = 後ろへ
settings-erase = 消去する
settings-actions = 「{ $name }」の操作
settings-label-name = ラベルの名前
settings-label-hue = 色
settings-label-worn = { $n }件のカードから外れます。
settings-new-label = 新しいラベルの名前
settings-no-labels = まだラベルがありません。
settings-fields-why = カードの右に並ぶ、文字の項目です
settings-field-label = 項目の名前
settings-field-key = キー
settings-field-key-rule = キーは Webhook と API で使う名前です。英小文字で始め、英小文字・数字・_ を使えます。あとから変えられません。
settings-field-erase-why = すべてのカードから、この項目の値が消えます。
settings-new-field = 新しい項目の名前
settings-no-fields = まだ項目がありません。
settings-guests = ゲスト
settings-guests-why = ゲストは、ここで選んだボードだけを見られます
settings-no-guests = この組織にゲストはいません。
settings-guest-sees = 閲覧できます
settings-guest-admit = 見せる
settings-guest-dismiss = 見せない
settings-archive = ボードの保管
settings-archive-why = 一覧から外れます。カードは残り、いつでも戻せます。
settings-archive-do = ボードを保管する
