// What password managers do: the credential that a page gets is an object of their own, with the browser's prototype. Its own
// fields can be read; what it inherits throws, for it is no object of the browser's. Its bytes are views into larger buffers
// ("views") or text with padding ("text"). Without keepsUserHandle the user handle is null.
function wrapCredentials(form, keepsUserHandle) {
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_");
  const view = (buffer) => {
    const larger = new Uint8Array(buffer.byteLength + 7);
    larger.set(new Uint8Array(buffer), 5);
    return larger.subarray(5, 5 + buffer.byteLength);
  };
  const spell = form === "text" ? text : view;
  const wrap = (real) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (real.response[name]) response[name] = spell(real.response[name]);
    }
    if (!keepsUserHandle) response.userHandle = null;
    const own = {
      id: text(real.rawId), rawId: spell(real.rawId), response: Object.setPrototypeOf(response, Object.getPrototypeOf(real.response)),
      toJSON() { throw new TypeError("Illegal invocation"); },
    };
    return Object.setPrototypeOf(own, PublicKeyCredential.prototype);
  };
  for (const what of ["create", "get"]) {
    const native = navigator.credentials[what].bind(navigator.credentials);
    navigator.credentials[what] = async (options) => wrap(await native(options));
  }
}
