// What tests do on a page, beside the actions of Playwright.
import { existsSync } from "node:fs";
import type { Locator, Page } from "@playwright/test";
import { expect } from "./matchers";

/** Presses keys one after the other, without waiting until the page has handled one before the next. */
export async function keys(page: Page, ...names: string[]) {
  await Promise.all(names.map((n) => page.keyboard.press(n)));
}

/**
 * Presses a button until condition(argument) is true in the page. On a starved machine the node stops waiting for a
 * process after some seconds and reports an error; a user presses again.
 */
export async function pressUntil(page: Page, what: string, button: Locator, condition: (argument: never) => unknown, argument?: unknown) {
  await expect(async () => {
    await button.click({ timeout: 5_000 }).catch(() => undefined); // it is gone if the previous press succeeded
    await expect(page, what).toSatisfy(condition, argument, { timeout: 10_000 });
  }).toPass({ timeout: 120_000 });
}

/** Holds requests whose address matches until the returned function is called. */
export async function hold(page: Page, pattern: RegExp) {
  let release = () => {};
  const released = new Promise<void>((done) => {
    release = done;
  });
  await page.route(pattern, async (r) => {
    await released;
    await r.continue().catch(() => undefined); // the page has cancelled the request
  });
  return async () => {
    release();
    await page.unroute(pattern);
  };
}

/** Saves a screenshot as NAME.png in the folder E2E_SHOTS, if there is one. */
export async function picture(page: Page, name: string) {
  const folder = process.env.E2E_SHOTS;
  if (folder && existsSync(folder)) await page.screenshot({ path: `${folder}/${name}.png` });
}

/** The text editor (src/ui/editor.tsx) with a label. */
export const editor = (page: Page, label: string) => new Editor(page, label);

class Editor {
  /** The field, as soon as the editor's code is loaded. */
  readonly field: Locator;

  constructor(
    private readonly page: Page,
    label: string,
  ) {
    this.field = page.getByLabel(label, { exact: true }).and(page.locator("[contenteditable]"));
  }

  /** Replaces the whole text. An editor draws only the visible lines, so the text is pasted, not filled in. */
  async write(text: string) {
    await this.field.focus();
    await this.page.keyboard.press("ControlOrMeta+a");
    await this.field.evaluate((e, text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", text);
      e.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, text);
  }

  /** The selected text, as the user would copy it. */
  selected() {
    return this.field.evaluate((e) => {
      const clipboardData = new DataTransfer();
      e.dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true }));
      return clipboardData.getData("text/plain");
    });
  }

  /** The whole text, which is selected afterwards. */
  async text() {
    await this.field.focus();
    await this.page.keyboard.press("ControlOrMeta+a");
    return this.selected();
  }
}
