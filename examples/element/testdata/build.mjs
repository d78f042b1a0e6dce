// Builds the page of examples/element with Vue and with Svelte, each with its own compiler: dist/vue and dist/svelte.
import { copyFileSync, readFileSync } from "node:fs";
import { build } from "esbuild";
import { compile } from "svelte/compiler";
import { compileScript, parse } from "vue/compiler-sfc";

const compilers = {
  vue: (source) => compileScript(parse(source).descriptor, {
    id: "page",
    inlineTemplate: true,
    templateOptions: { compilerOptions: { isCustomElement: (name) => name === "watchword-verification" } },
  }).content,
  svelte: (source) => compile(source, { generate: "client" }).js.code,
};

const mounts = {
  vue: `import { createApp } from "vue"; import App from "./App.vue"; createApp(App).mount("#root");`,
  svelte: `import { mount } from "svelte"; import App from "./App.svelte"; mount(App, { target: document.getElementById("root") });`,
};

for (const [name, compiler] of Object.entries(compilers)) {
  await build({
    stdin: { contents: mounts[name], resolveDir: "." },
    bundle: true, minify: true, format: "esm", outfile: `dist/${name}/page.js`, conditions: ["production"],
    define: { "process.env.NODE_ENV": `"production"`, __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
    plugins: [{
      name,
      setup: (plugin) => plugin.onLoad({ filter: new RegExp(`\\.${name}$`) }, ({ path }) => ({ contents: compiler(readFileSync(path, "utf8")), loader: "js" })),
    }],
  });
  copyFileSync("index.html", `dist/${name}/index.html`);
}
