# 入力された文字を受け付けられないときの説明。引数はそのまま表示できる文字列です。
text-error-empty = 1文字以上入力してください。
text-error-too-long = { $chars }文字あります。{ $max }文字以内にしてください。
text-error-too-large = { $bytes }バイトあります。{ $max }バイト以内にしてください。
text-error-control-character = { $at }文字目に、ここでは使えない制御文字または改行があります。取り除いてください。
text-error-bidirectional-override = { $at }文字目に、文字の向きを変える制御文字があります。取り除いてください。
text-error-not-in-key = { $at }文字目はキーに使えません。半角の a〜z、0〜9、_ だけを使ってください。

date-error-shape = 日付は 2026-11-22 のように、年-月-日で入力してください。
date-error-no-such-day = その日付は暦にありません。

mail-address-error-empty = メールアドレスを入力してください。
mail-address-error-not-one-at = メールアドレスには @ がちょうど1つ必要です。
mail-address-error-too-long = メールアドレスが長すぎます。@ の前は64文字、全体は254文字までです。
mail-address-error-foreign-character = { $at }文字目はメールアドレスに使えません。半角の英数字で、空白を入れずに入力してください。
mail-address-error-quoted = 引用符で囲んだメールアドレスには対応していません。
mail-address-error-local-part = @ より前の部分を確かめてください。
mail-address-error-domain = @ より後の部分を確かめてください。
