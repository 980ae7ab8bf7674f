# Webhook の受信を保留または拒否した理由と、対応づけの誤り。引数はそのまま表示できる文字列です。
delivery-held-empty = 本文が空です。
delivery-held-unknown-type = { $type } 形式の本文は読み取れません。送信元で JSON を選んでください。
delivery-held-unknown-charset = 文字コード { $charset } が分かりません。送信元で UTF-8 を選んでください。
delivery-held-not-in-charset = 本文が { $charset } ではありません。送信元で、使っている文字コードを Content-Type に付けてください。
delivery-held-malformed-json = 本文が JSON として読めません（{ $line }行 { $column }桁）。
delivery-held-lone-surrogate = 本文に、\u で書かれた文字の片割れ（対になっていないサロゲート）があります。
delivery-held-too-deep = 本文の入れ子が{ $max }段を超えています。
delivery-held-too-many-values = 本文の値が{ $max }個を超えています。

delivery-refused-missing-header = ヘッダー { $header } がありません。
delivery-refused-bad-id = 配信 ID が、表示できる半角文字1〜256字ではありません。
delivery-refused-bad-timestamp = 送信時刻が、1970年からの秒数ではありません。
delivery-refused-timestamp-outside = 送信時刻がこの機器の時計と{ $seconds }秒ずれています。300秒までしか受け付けません。両方の時計を確かめてください。
delivery-refused-no-known-version = v1 の署名がありません。
delivery-refused-no-match = 署名が一致しません。署名の鍵が送信元と同じか確かめてください。途中のプロキシが本文を変えた場合もこうなります。

signing-secret-not-base64 = 署名の鍵は whsec_ に続く base64 です。
signing-secret-length = 署名の鍵が{ $bytes }バイトあります。24〜64バイトにしてください。

mapping-rule-not-object = オブジェクトで指定してください。
mapping-rule-missing = 必ず指定してください。
mapping-rule-not-text = 文字列で指定してください。
mapping-rule-unknown = この項目はありません。title、status、fields、key が使えます。
mapping-rule-too-many-fields = 項目が{ $max }個を超えています。
mapping-rule-no-such-field = このキーの文字の項目はボードにありません。
mapping-rule-not-pointer = / で始まるポインターを1つだけ指定してください。
template-error-empty = 空にはできません。
template-error-too-long = { $chars }文字あります。{ $max }文字以内にしてください。
template-error-unclosed = { $at }文字目の波かっこが閉じていません。波かっこそのものは2つ重ねて書いてください。
template-error-stray = { $at }文字目の波かっこに対応する開きかっこがありません。波かっこそのものは2つ重ねて書いてください。
template-error-not-pointer = 「{ $text }」はポインターではありません。ポインターは /data/title のように / で始まります。
template-error-bad-escape = 「{ $text }」の ~ の使い方が違います。~ は ~0、/ は ~1 と書いてください。
