## 受け付けなかった理由。何も変わっていません。
refusal-not-found = 見つかりません。削除されたか、アドレスが違います。
refusal-conflict = ほかの人が同じ項目を変えました。入力した内容は残っています。
refusal-stale = このカードはその間に変わりました。今の内容を見てから、もう一度お試しください。
refusal-status-gone = 移す先の状態がなくなりました。残っている状態から選んでください。
refusal-trashed = このカードはごみ箱にあります。元に戻してから変えてください。
refusal-limit = { $max }件までです。使っていないものを消すと、また追加できます。
refusal-taken = 「{ $value }」はすでにあります。別の名前にしてください。
refusal-status-in-use = この状態には{ $cards }件のカードがあります。先にほかの状態へ移してください。
refusal-last-status = ボードには状態が一つ以上必要です。
refusal-unknown = 「{ $value }」は選べません。
refusal-last-owner = 最後の所有者です。先に別の人を所有者にしてください。
refusal-above-own-role = 自分より上の役割は、与えることも変えることもできません。
refusal-already-member = このアドレスの人は、すでにメンバーです。
refusal-already-invited = このアドレスには招待を送っています。届いていないときは「もう一度送る」をお使いください。
refusal-expired = 期限が切れています。新しいものを頼んでください。
refusal-revoked = この招待は取り消されました。
refusal-used = すでに使われています。
refusal-other-address = この招待は、別のアドレスに宛てたものです。
actor-hook = Webhook
actor-token = API
actor-operator = 運用者
actor-system = Workrun
mail-actor-server = サーバー上のコマンド

## 最近の動き
activity-received = { $actor }で{ $card }を受け取りました
activity-created = { $actor }が{ $card }を追加しました
activity-moved = { $actor }が{ $card }を「{ $status }」へ移しました
activity-commented = { $actor }が{ $card }にコメントしました
activity-archived = { $actor }が{ $card }を保管しました
activity-trashed = { $actor }が{ $card }を削除しました
activity-restored = { $actor }が{ $card }を元に戻しました
activity-changed = { $actor }が{ $card }を変更しました

## 監査の記録
audit-founded = 組織「{ $name }」を作りました
audit-renamed = 組織の名前を「{ $from }」から「{ $to }」に変えました
audit-invited = { $role }として招待しました
audit-invitation-resent = 招待をもう一度送りました
audit-invitation-revoked = 招待を取り消しました
audit-joined = { $role }として参加しました
audit-role = { $name }の役割を{ $from }から{ $to }に変えました
audit-removed = { $name }を組織から外しました
audit-left = 組織から抜けました
audit-profile = 自分の名前を変えました
audit-token = APIトークン「{ $name }」（{ $role }）を作りました
audit-token-revoked = APIトークンを無効にしました
audit-link = { $name }のサインイン用リンクを作りました
audit-hook = Webhook「{ $name }」を作りました
audit-hook-renamed = Webhookの名前を「{ $from }」から「{ $to }」に変えました
audit-hook-removed = Webhookを削除しました
audit-board = ボード「{ $board }」を作りました
audit-board-renamed = ボード「{ $board }」の名前を変えました
audit-board-archived = ボード「{ $board }」を保管しました、または元に戻しました
audit-board-statuses = ボード「{ $board }」の状態を変えました
audit-board-fields = ボード「{ $board }」の項目を変えました
audit-board-labels = ボード「{ $board }」のラベルを変えました
audit-board-guests = ボード「{ $board }」のゲストを変えました

## そのほか
hook-untitled = 受信 { $endpoint } { $date }
invitation-other-current = 別のアドレス
console-uptime-days = { $days }日 { $hours }時間
console-uptime-hours = { $hours }時間 { $minutes }分
console-mail-given-up = 打ち切り
mail-kind-sign-in = サインインのコード
mail-kind-token = オーナーへの知らせ
mail-kind-link = オーナーへの知らせ
mail-kind-founded = 組織のオーナーへの知らせ
mail-kind-removed = 外れたメンバーへの知らせ
audit-quotas = 組織の上限を変えました
audit-restored = 組織をスナップショット { $generation } の状態に戻しました
refusal-quota-cards = カードは全部で{ $max }件までです。ゴミ箱のカードを消すか、運用者に上限の引き上げを頼んでください。入力した内容は残っています。
refusal-quota-bytes = データの量が上限（{ $max } MB）に達しました。不要なものを消すか、運用者に上限の引き上げを頼んでください。入力した内容は残っています。
refusal-quota-members = メンバーは{ $max }人までです。運用者に上限の引き上げを頼んでください。
