/** A stage with pages on it: peers of Node in this process, and tabs of a Chromium that shows the test's own site. */
import type { Test } from 'uvu'
import * as assert from 'uvu/assert'
import { makeSwarm } from '../../lib/swarm/make.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Chromium, type Tab } from '../support/chromium.ts'
import { needs } from '../support/needs.ts'
import { openStage, type Stage } from '../swarm/stage.ts'
import { openSite, type Site } from './site.ts'

/** What a page can dial. */
export const FOR_PAGES = ['/ip4/127.0.0.1/tcp/0/ws'] as const

export interface PageStage extends Stage {
  readonly browserOf: () => Chromium
  /** A tab of the site, as of this host: by whatever name, it is this machine. It is closed with the scene; then nothing may have gone wrong in it unseen. */
  readonly opened: (host?: string) => Promise<Tab>
  /** The data folder of a swarm that has just been made, and its first admin, up, where pages can dial it: there it can come back. */
  readonly founded: () => Promise<{ readonly dir: string, readonly admin: Swarm, readonly listen: readonly string[] }>
}

/** Skips all scenes where there is no Chromium. */
export async function openPageStage (test: Test): Promise<PageStage> {
  const stage = await openStage(Object.assign(needs(test, 'chromium'), { after: test.after }) as Test, { joinMs: 25_000, sceneMs: 90_000 })
  let folders = 0
  let site: Site | undefined
  let browser: Chromium | undefined
  const tabs: Tab[] = []
  test.after(async () => {
    await browser?.close()
    await site?.close()
  })
  const isThere = <Part> (part: Part | undefined): Part => {
    assert.ok(part, 'opened with the first scene')
    return part
  }
  return {
    ...stage,
    browserOf: () => isThere(browser),
    opened: async (host = '127.0.0.1') => {
      const tab = await isThere(browser).tab(isThere(site).url.replace('127.0.0.1', host))
      tabs.push(tab)
      return tab
    },
    founded: async () => {
      const dir = `${stage.user.home}/peer-${++folders}`
      await makeSwarm(dir)
      const admin = await stage.joined({ dir, name: 'admin', listen: FOR_PAGES })
      return { dir, admin, listen: admin.status().peer.addresses }
    },
    scene: (name, body) => {
      stage.scene(name, async () => {
        site ??= await openSite()
        browser ??= await Chromium.launch()
        try {
          await body()
          assert.equal(tabs.flatMap(({ uncaught }) => uncaught), [], 'what nobody caught in a page')
        } finally {
          await Promise.all(tabs.splice(0).map(async tab => { await tab.close() }))
        }
      })
    }
  }
}
