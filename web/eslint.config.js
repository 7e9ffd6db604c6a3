import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const format = "Only src/ui/format.ts makes text of numbers, units and times.";
const formatting = ["toFixed", "toPrecision", "toExponential", "toLocaleString", "toLocaleDateString", "toLocaleTimeString", "toISOString", "toUTCString", "toDateString", "toTimeString", "getFullYear", "getHours", "getTimezoneOffset", "padStart"];
const unit = "^ (ms|s|min|h|d|%|B|KiB|MiB|GiB|TiB)(?!\\w)"; // after a value, with a blank: "50%" is CSS

export default tseslint.config(
  { ignores: ["node_modules", "dist", "test-results", "src/api/schema.d.ts"] },
  {
    files: ["src/**/*.{ts,tsx}", "vite.config.ts"],
    extends: [tseslint.configs.strictTypeChecked, reactHooks.configs.flat["recommended-latest"]],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true, argsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // A page imports the shared parts and its own files, never another page.
      "no-restricted-imports": ["error", { patterns: [{ regex: "^(\\.\\./)+(?!\\.\\./|ui/|api/|live/)[^./]+/", message: "A page imports ui, api and live only: move what two pages share to ui." }] }],
      "react-hooks/incompatible-library": "off", // about what the compiler skips, and it is not used
    },
  },
  {
    files: ["e2e/**/*.ts", "playwright.config.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: "e2e/tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // Tests read the API's JSON without its types: they check what it contains.
      "@typescript-eslint/no-explicit-any": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-empty-pattern": "off", // fixtures name what they use, and some use nothing
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/ui/format.ts", "src/**/*.test.{ts,tsx}"],
    rules: {
      "no-restricted-globals": ["error", { name: "Intl", message: format }],
      "no-restricted-properties": ["error", ...formatting.map((property) => ({ property, message: format }))],
      "no-restricted-syntax": [
        "error",
        { selector: 'NewExpression[callee.name="Date"]', message: format },
        { selector: `TemplateElement[value.raw=/${unit}/]`, message: format },
        { selector: `JSXText[value=/${unit}/]`, message: format },
        { selector: `Literal[value=/${unit}/]`, message: format },
      ],
    },
  },
);
