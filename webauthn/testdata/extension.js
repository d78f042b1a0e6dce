// Replaces navigator.credentials as some password managers do: pages get an object of the manager with the browser's prototype.
// Its own fields can be read; inherited methods and accessors throw. Buffers are views into larger ones ("views") or padded
// text ("text"). Without keepsUserHandle the user handle is null.
function wrapCredentials(form, keepsUserHandle) {
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_");
  const view = (buffer) => {
    const larger = new Uint8Array(buffer.byteLength + 7);
    larger.set(new Uint8Array(buffer), 5);
    return larger.subarray(5, 5 + buffer.byteLength);
  };
  const encode = form === "text" ? text : view;
  const wrap = (real) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (real.response[name]) response[name] = encode(real.response[name]);
    }
    if (!keepsUserHandle) response.userHandle = null;
    const wrapped = {
      id: text(real.rawId), rawId: encode(real.rawId), response: Object.setPrototypeOf(response, Object.getPrototypeOf(real.response)),
      toJSON() { throw new TypeError("Illegal invocation"); },
    };
    return Object.setPrototypeOf(wrapped, PublicKeyCredential.prototype);
  };
  for (const what of ["create", "get"]) {
    const native = navigator.credentials[what].bind(navigator.credentials);
    navigator.credentials[what] = async (options) => wrap(await native(options));
  }
}
