"use client";

import { startTransition, useEffect, useState } from "react";
import { finish } from "../actions";

type Approved = CustomEvent<{ verification: string; return_code: string }>;
type Failed = CustomEvent<{ verification: string; code: string }>;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "watchword-verification": {
        id: string;
        ticket: string;
        children?: ReactNode;
        onapproved?: (event: Approved) => void;
        onerror?: (event: Failed) => void;
      };
    }
  }
}

/** Shows a verification, and sends what its event brings to the server. The event alone proves nothing. */
export function Verification({ id, ticket, script }: { id: string; ticket: string; script: string }) {
  const [message, setMessage] = useState("");
  useEffect(() => {
    import(/* turbopackIgnore: true */ /* webpackIgnore: true */ script).catch(() => setMessage("The page could not be loaded. Please try again later."));
  }, [script]);
  const explain = ({ detail }: Failed) => {
    if (detail.code !== "unavailable") setMessage("This page was opened before. Please start again.");
  };
  return (
    <>
      <p role="status">{message}</p>
      <watchword-verification id={id} ticket={ticket} onapproved={({ detail }) => startTransition(() => finish(detail))} onerror={explain}>
        One moment…
      </watchword-verification>
    </>
  );
}
