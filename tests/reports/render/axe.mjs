// node axe.mjs CHROMIUM PAGE... -> JSON: for each page and width what axe finds, and whether the page is too wide.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.WIDEPROOF_AXE}/`);
const puppeteer = require("puppeteer-core");
const [chromium, ...pages] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--headless=new"] });
const found = [];
for (const name of pages) {
  for (const width of [390, 1200]) {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 800 });
    await page.goto(pathToFileURL(name).href, { waitUntil: "load" });
    await page.addScriptTag({ path: require.resolve("axe-core/axe.min.js") });
    const { violations } = await page.evaluate(() => globalThis.axe.run());
    const wide = await page.evaluate(() => [...document.querySelectorAll("main *")]
      .filter((part) => part.getBoundingClientRect().right > innerWidth + 1 && !part.closest(".wide") && !part.closest("svg"))
      .map((part) => part.outerHTML.slice(0, 160)).slice(0, 4));
    if (process.env.WIDEPROOF_SHOTS) await page.screenshot({ path: `${process.env.WIDEPROOF_SHOTS}-${width}.png`, fullPage: true });
    found.push({ name, width, wide, violations: violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.slice(0, 3).map((node) => node.html.slice(0, 200)) })) });
    await page.close();
  }
}
await browser.close();
console.log(JSON.stringify(found, null, 1));
