// What was opened last is closed first: browsers before the appliance that they look at, and that before its folder.
const stacks = new WeakMap();

/** Has `ending` called when `scope`, a test or a file of tests, ends. All are called, whatever fails. */
export function atEnd(scope, ending) {
  let stack = stacks.get(scope);
  if (!stack) {
    stack = [];
    stacks.set(scope, stack);
    scope.after(async () => {
      const failures = [];
      for (const end of stack.reverse()) {
        try {
          await end();
        } catch (failure) {
          failures.push(failure);
        }
      }
      if (failures.length) throw failures[0];
    });
  }
  stack.push(ending);
}
