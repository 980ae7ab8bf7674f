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
activity-received = を受け取りました
activity-created = を追加しました
activity-moved = を「{ $status }」へ移しました
activity-commented = にコメントしました
activity-archived = を保管しました
activity-trashed = を削除しました
activity-restored = を元に戻しました
activity-changed = を変更しました
