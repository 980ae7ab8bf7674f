// Questions about keys.

/** Is this key part of a conversion by an input method? Safari says so only by the code 229. */
export function composing(event) {
  return event.isComposing || event.keyCode === 229;
}

/** Is a text being written here, so that letters are letters? */
export function writing(element) {
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable]"));
}

/** Does the input hold something that was not saved? */
export function dirty(input) {
  if (input instanceof HTMLSelectElement) {
    return [...input.options].some((option) => option.selected !== option.defaultSelected);
  }
  return input.value !== input.defaultValue;
}
