import { NextResponse, type NextRequest } from "next/server";
import { serverUrl } from "./lib/config";

/** Sets the headers of every page. Next.js gives its scripts the nonce that it finds in the policy. */
export function proxy(request: NextRequest): NextResponse {
  const nonce = crypto.randomUUID();
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic' ${serverUrl}${process.env.NODE_ENV === "development" ? " 'unsafe-eval'" : ""}`,
    `style-src 'self'${process.env.NODE_ENV === "development" ? " 'unsafe-inline'" : ""}`,
    `connect-src 'self' ${serverUrl}`, // the element's requests go to watchword's server
    "img-src 'self' data:",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  const headers = new Headers(request.headers);
  headers.set("Content-Security-Policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("Content-Security-Policy", policy);
  response.headers.set("Referrer-Policy", "same-origin");
  response.headers.set("X-Content-Type-Options", "nosniff");
  return response;
}

export const config = { matcher: ["/((?!_next/static|style.css).*)"] };
