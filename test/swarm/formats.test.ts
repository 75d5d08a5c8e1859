/** Config files as each client writes them, with `swarm` added: what is made of them. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseConfig, type Config } from '../../lib/swarm/config.ts'
import { folderOf } from '../../lib/swarm/variables.ts'

const ENV = { GITHUB_TOKEN: 'g1', API_KEY: 'k1', HOST: 'example.org' }

const read = (path: string, document: object, share: string[]): Config =>
  parseConfig(JSON.stringify({ ...document, swarm: { share } }, null, 2), { path, env: ENV, home: '/home/ada', readEnvFile: (file, folder) => ({ FROM: `${folder}|${file}`, MODE: 'file' }) })

for (const [client, path, document, share, expected] of [
  [
    'Claude Desktop on macOS', '/Users/ada/Library/Application Support/Claude/claude_desktop_config.json', {
      globalShortcut: 'Alt+Space',
      mcpServers: {
        filesystem: { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '/Users/ada/Desktop'] },
        brave: { command: 'npx', args: ['-y', 'server-brave'], env: { BRAVE_API_KEY: 'abc' } }
      },
      preferences: { menuBarEnabled: true }
    }, ['filesystem', 'brave'], {
      servers: {
        filesystem: { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '/Users/ada/Desktop'] },
        brave: { command: 'npx', args: ['-y', 'server-brave'], env: { BRAVE_API_KEY: 'abc' } }
      },
      folders: { filesystem: '/Users/ada/Library/Application Support/Claude', brave: '/Users/ada/Library/Application Support/Claude' }
    }
  ],
  [
    'Claude Desktop on Windows', 'C:\\Users\\ada\\AppData\\Roaming\\Claude\\claude_desktop_config.json',
    { mcpServers: { files: { command: 'npx.cmd', args: ['-y', 'server', 'C:\\Users\\ada\\Desktop'] } } }, ['files'],
    { servers: { files: { command: 'npx.cmd', args: ['-y', 'server', 'C:\\Users\\ada\\Desktop'] } }, folders: { files: 'C:\\Users\\ada\\AppData\\Roaming\\Claude' } }
  ],
  [
    'a project of Claude Code', '/src/shop/.mcp.json', {
      mcpServers: {
        github: { type: 'http', url: 'https://${HOST}/mcp', headers: { Authorization: 'Bearer ${GITHUB_TOKEN}' } },
        db: { type: 'stdio', command: '${CLAUDE_PROJECT_DIR:-.}/db', args: ['--read-only'], env: { CACHE: '${CACHE_DIR:-/tmp}' } },
        old: { type: 'sse', url: 'https://example.org/sse' }
      }
    }, ['github', 'db'], {
      servers: {
        github: { url: 'https://example.org/mcp', headers: { Authorization: 'Bearer g1' } },
        db: { command: './db', args: ['--read-only'], env: { CACHE: '/tmp' } }
      },
      folders: { github: '/src/shop', db: '/src/shop' }, unshared: ['old']
    }
  ],
  [
    'the file of Claude Code itself', '/home/ada/.claude.json', {
      numStartups: 41, userID: 'x', oauthAccount: { emailAddress: 'x' },
      mcpServers: { notes: { type: 'stdio', command: 'notes', args: [], env: {} } },
      projects: {
        '/src/shop': { allowedTools: [], history: [{ display: 'hi' }], mcpServers: { db: { type: 'stdio', command: 'db', args: ['shop'], env: {} }, notes: { command: 'other' } } },
        '/src/blog': { mcpServers: {}, mcpContextUris: [], enabledMcpjsonServers: [] },
        '/src/odd': { mcpServers: null }
      }
    }, ['notes', 'db'], {
      servers: { notes: { command: 'notes', args: [], env: {} }, db: { command: 'db', args: ['shop'], env: {} } },
      folders: { notes: '/home/ada', db: '/src/shop' }
    }
  ],
  [
    'a project of Cursor', '/src/shop/.cursor/mcp.json', {
      mcpServers: {
        local: { command: '${workspaceFolder}${/}bin${pathSeparator}server', args: ['${workspaceFolderBasename}', '--home=${userHome}'], env: { KEY: '${env:API_KEY}' }, envFile: '${workspaceFolder}/.env' },
        remote: { url: 'https://${env:HOST}/mcp', headers: { 'X-Key': '${env:API_KEY}' } }
      }
    }, ['local', 'remote'], {
      servers: {
        local: { command: '/src/shop/bin/server', args: ['shop', '--home=/home/ada'], env: { FROM: '/src/shop|/src/shop/.env', MODE: 'file', KEY: 'k1' } },
        remote: { url: 'https://example.org/mcp', headers: { 'X-Key': 'k1' } }
      },
      folders: { local: '/src/shop', remote: '/src/shop' }
    }
  ],
  [
    'a workspace of VS Code', '/src/shop/.vscode/mcp.json', {
      inputs: [{ type: 'promptString', id: 'key', description: 'Key', password: true }],
      servers: {
        playwright: { command: 'npx', args: ['-y', '@microsoft/mcp-server-playwright'], cwd: '${workspaceFolder}/web', envFile: '.env', env: { MODE: 'entry' }, dev: { watch: 'src/**' } },
        github: { type: 'http', url: 'https://example.org/mcp/' },
        perplexity: { type: 'stdio', command: 'npx', args: ['-y', 'p'], env: { KEY: '${input:key}' } },
        boxed: { command: 'box', sandboxEnabled: true },
        free: { command: 'free', sandboxEnabled: false }
      }
    }, ['playwright', 'github', 'free'], {
      servers: {
        playwright: { command: 'npx', args: ['-y', '@microsoft/mcp-server-playwright'], env: { FROM: '/src/shop|.env', MODE: 'entry' }, cwd: '/src/shop/web' },
        github: { url: 'https://example.org/mcp/' },
        free: { command: 'free' }
      },
      folders: { playwright: '/src/shop', github: '/src/shop', free: '/src/shop' }, unshared: ['perplexity', 'boxed']
    }
  ]
] as const) {
  test(`reads ${client}`, () => {
    const config = read(path, document, [...share])
    assert.equal(config.servers, expected.servers)
    assert.equal(config.folders, expected.folders)
    if ('unshared' in expected) assert.equal(config.unshared, expected.unshared)
  })
}

test('a file of variables that is not there is told with its place', () => {
  assert.throws(() => parseConfig('{ "servers": { "n": { "command": "n", "envFile": ".env" } },\n"swarm": { "share": ["n"] } }', {
    path: 'mcp.json', env: {}, readEnvFile: () => { throw new Error('no such file') }
  }), (error: Error) => error.message === 'mcp.json:1:50: servers.n.envFile: cannot read .env: no such file')
})

for (const [path, folder] of [
  ['/a/.mcp.json', '/a'], ['/.mcp.json', '/'], ['.mcp.json', '.'], ['.vscode/mcp.json', '.'], ['/a/.cursor/mcp.json', '/a'], ['/.vscode/mcp.json', '/'],
  ['C:\\a\\.vscode\\mcp.json', 'C:\\a'], ['C:/a/.cursor/mcp.json', 'C:\\a'], ['C:\\.mcp.json', 'C:\\'], ['/a\\b/.mcp.json', '/a\\b']
] as const) {
  test(`${path} is of ${folder}`, () => { assert.is(folderOf(path), folder) })
}

test.run()
