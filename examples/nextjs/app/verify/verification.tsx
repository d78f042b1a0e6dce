"use client";

import { startTransition, useEffect, useRef, useState, type Ref } from "react";
import { loadElement, type VerificationAttributes, type WatchwordVerificationElement } from "watchword-auth/browser";
import { finish } from "../actions";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "watchword-verification": VerificationAttributes & { ref?: Ref<WatchwordVerificationElement>; children?: ReactNode };
    }
  }
}

/**
 * Shows a verification, and sends what its event brings to the server. The event alone proves nothing. The listeners are added in an
 * effect, because React adds those of its attributes (`onapproved`) only to elements that it has made itself, and to none of a page that the
 * server has rendered.
 */
export function Verification({ id, ticket, server }: VerificationAttributes & { server: string }) {
  const element = useRef<WatchwordVerificationElement>(null);
  const [message, setMessage] = useState("");
  useEffect(() => {
    const listeners = new AbortController();
    element.current?.addEventListener("approved", (event) => startTransition(() => finish(event.detail)), listeners);
    element.current?.addEventListener("error", (event) => {
      if (event.detail.code !== "unavailable") setMessage("This page was opened before.");
    }, listeners);
    loadElement(server).catch(() => setMessage("The page could not be loaded."));
    return () => listeners.abort();
  }, [server]);
  if (message) {
    return (
      <>
        <h1>Please start again</h1>
        <p role="status">{message}</p>
      </>
    );
  }
  return <watchword-verification ref={element} id={id} ticket={ticket}>One moment…</watchword-verification>;
}
