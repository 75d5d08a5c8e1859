/** A Chromium of the test's own: a new profile, no display, and nothing that it asks of the network by itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type CDPSession, type Page } from 'playwright-core'
import { findProgram } from './needs.ts'
import { within } from './within.ts'

/** A name that leads to this machine, and of which the browser does not know that. */
export const ELSEWHERE = 'elsewhere.test'

const FLAGS = [`--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`, '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/** Times that a browser may take on a busy machine, in milliseconds. */
const LAUNCH_MS = 30_000
const ASK_MS = 20_000

/** Lines kept of what a page writes to its console. */
const SAID_MAX = 1_000

/** What a page's script answers: see test/browser/page/app.ts. */
interface Answer { readonly answer?: unknown, readonly error?: PageError }

/** What was thrown in a page. */
export interface PageError { readonly code: string | null, readonly message: string, readonly details: Readonly<Record<string, unknown>> }

export class Chromium {
  readonly #profile: string
  #context: BrowserContext | undefined

  private constructor (profile: string) {
    this.#profile = profile
  }

  /** Needs the program: `needs(test, 'chromium')`. */
  static async launch (): Promise<Chromium> {
    const browser = new Chromium(await mkdtemp(join(tmpdir(), 'swarm-chromium-')))
    await browser.start()
    return browser
  }

  /** Starts it with the profile that it had. */
  async start (): Promise<void> {
    this.#context = await within(LAUNCH_MS, 'launching Chromium', chromium.launchPersistentContext(this.#profile, {
      executablePath: findProgram('chromium', 'chromium-browser', 'google-chrome'), headless: true, args: FLAGS, timeout: LAUNCH_MS
    }))
  }

  async tab (url: string): Promise<Tab> {
    if (this.#context === undefined) throw new Error('the browser has been stopped')
    const tab = new Tab(await within(ASK_MS, 'opening a tab', this.#context.newPage()))
    await tab.visit(url)
    return tab
  }

  /** Ends it; its profile stays. */
  async stop (): Promise<void> {
    await within(LAUNCH_MS, 'closing Chromium', this.#context?.close() ?? Promise.resolve())
    this.#context = undefined
  }

  async close (): Promise<void> {
    try {
      await this.stop()
    } finally {
      await rm(this.#profile, { recursive: true, force: true })
    }
  }
}

export class Tab {
  /** What nobody caught in the page: none of it may happen. */
  readonly uncaught: string[] = []
  /** What it has written to its console, the last of it. */
  readonly said: string[] = []
  readonly #page: Page
  #session: CDPSession | undefined

  constructor (page: Page) {
    this.#page = page
    page.on('console', message => {
      this.said.push(message.text())
      this.said.splice(0, this.said.length - SAID_MAX)
    })
    page.on('pageerror', error => { this.uncaught.push(error.stack ?? String(error)) })
  }

  async visit (url: string): Promise<void> {
    await this.#page.goto(url, { timeout: ASK_MS })
  }

  async reload (): Promise<void> {
    await this.#page.reload({ timeout: ASK_MS })
  }

  async close (): Promise<void> {
    await within(ASK_MS, 'closing a tab', this.#page.close())
  }

  /** How many bytes its site may keep; undefined: as the browser has it. */
  async limit (quotaBytes: number | undefined): Promise<void> {
    this.#session ??= await this.#page.context().newCDPSession(this.#page) // what is overridden ends with it
    await this.#session.send('Storage.overrideQuotaForOrigin', { origin: new URL(this.#page.url()).origin, ...quotaBytes !== undefined && { quotaSize: quotaBytes } })
  }

  /** Ends its process as a crash does. */
  async crash (): Promise<void> {
    const crashed = new Promise<void>(resolve => { this.#page.once('crash', () => { resolve() }) })
    this.#page.goto('chrome://crash').catch(() => undefined) // it never arrives
    await within(ASK_MS, 'crashing a tab', crashed)
  }

  /** Has the page's script do something. @throws what it threw, as a PageError in `cause` */
  async ask<Result> (act: string, what: unknown = {}, delayMs = ASK_MS): Promise<Result> {
    // As text: what compiles this file puts names of its own into functions, which a page does not know.
    const asked = this.#page.evaluate<Answer>(`act(${JSON.stringify(act)}, ${JSON.stringify(what)})`)
    asked.catch(() => undefined) // a tab that is closed meanwhile
    const { answer, error } = await within(delayMs, `${act} in the page`, asked)
    if (error !== undefined) throw Object.assign(new Error(`${act} in the page: ${error.code ?? 'no code'}: ${error.message}`), { cause: error })
    return answer as Result
  }

  /** How something fails in the page. */
  async fails (act: string, what: unknown = {}): Promise<PageError> {
    try {
      await this.ask(act, what)
    } catch (error) {
      const cause = (error as { cause?: PageError }).cause
      if (cause === undefined) throw error
      return cause
    }
    throw new Error(`${act} in the page did not fail`)
  }
}
