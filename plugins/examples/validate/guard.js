// Tells the host why a call failed, whatever happens in it. A component has no
// stderr: without this, an exception that nobody caught would be a crash without
// a reason.

/** An error of the contract to throw; `tag` is a case of `error` in types.wit. */
export function failure(tag, message) {
  return Object.assign(new Error(message), { payload: { tag, val: message } });
}

/** The functions, with errors of the contract in the place of all other exceptions. */
export function guarded(functions) {
  const entries = Object.entries(functions).map(([name, call]) => [name, guard(call)]);
  return Object.fromEntries(entries);
}

function guard(call) {
  return (...values) => {
    try {
      return call(...values);
    } catch (thrown) {
      if (thrown?.payload) throw thrown;
      const places = String(thrown?.stack ?? "").trim().split("\n").join(" < ");
      throw failure("invalid", `${thrown} (${places})`);
    }
  };
}
