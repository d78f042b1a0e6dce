"use client";

import { startTransition, useEffect, useRef, useState, type Ref } from "react";
import { finish } from "../actions";

type Approved = CustomEvent<{ verification: string; return_code: string }>;
type Failed = CustomEvent<{ verification: string; code: string }>;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "watchword-verification": { id: string; ticket: string; ref?: Ref<HTMLElement>; children?: ReactNode };
    }
  }
}

/**
 * Shows a verification, and sends what its event brings to the server. The event alone proves nothing. The listeners are added in an
 * effect, because React adds those of its attributes (`onapproved`) only to elements that it has made itself, and to none of a page that the
 * server has rendered.
 */
export function Verification({ id, ticket, script }: { id: string; ticket: string; script: string }) {
  const element = useRef<HTMLElement>(null);
  const [message, setMessage] = useState("");
  useEffect(() => {
    const listeners = new AbortController();
    element.current?.addEventListener("approved", (event) => startTransition(() => finish((event as Approved).detail)), listeners);
    element.current?.addEventListener("error", (event: Event) => {
      if ((event as Failed).detail.code !== "unavailable") setMessage("This page was opened before.");
    }, listeners);
    import(/* turbopackIgnore: true */ /* webpackIgnore: true */ script).catch(() => setMessage("The page could not be loaded."));
    return () => listeners.abort();
  }, [script]);
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
