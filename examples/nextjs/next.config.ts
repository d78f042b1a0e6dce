import { resolve } from "node:path";
import type { NextConfig } from "next";

const config: NextConfig = {
  poweredByHeader: false,
  // In a clone of watchword its client is a link to a folder outside of this one. Leave this out if you have the client from npm.
  turbopack: { root: resolve("../..") },
};

export default config;
