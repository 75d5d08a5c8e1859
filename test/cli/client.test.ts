import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { targetOf, type Machine } from '../../lib/cli/client.ts'

const linux: Machine = { platform: 'linux', env: {}, home: '/home/ann', folder: '/home/ann/work' }
const mac: Machine = { platform: 'darwin', env: { XDG_CONFIG_HOME: '/elsewhere' }, home: '/Users/ann', folder: '/Users/ann/work' }
const windows: Machine = { platform: 'win32', env: { APPDATA: 'D:\\Roaming' }, home: 'C:\\Users\\ann', folder: 'C:\\work' }
const moved = (env: Machine['env']): Machine => ({ ...linux, env })

for (const [name, client, user, machine, path, member] of [
  ['Claude Desktop on Linux', 'claude', false, linux, '/home/ann/.config/Claude/claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop on Linux with XDG_CONFIG_HOME', 'claude', false, moved({ XDG_CONFIG_HOME: '/conf' }), '/conf/Claude/claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop where XDG_CONFIG_HOME is not absolute', 'claude', false, moved({ XDG_CONFIG_HOME: 'conf' }), '/home/ann/.config/Claude/claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop for the user', 'claude', true, linux, '/home/ann/.config/Claude/claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop on a Mac', 'claude', false, mac, '/Users/ann/Library/Application Support/Claude/claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop on Windows', 'claude', false, windows, 'D:\\Roaming\\Claude\\claude_desktop_config.json', 'mcpServers'],
  ['Claude Desktop on Windows without APPDATA', 'claude', false, { ...windows, env: {} }, 'C:\\Users\\ann\\AppData\\Roaming\\Claude\\claude_desktop_config.json', 'mcpServers'],
  ['Claude Code in a project', 'claude-code', false, linux, '/home/ann/work/.mcp.json', 'mcpServers'],
  ['Claude Code in a project on Windows', 'claude-code', false, windows, 'C:\\work\\.mcp.json', 'mcpServers'],
  ['Claude Code for the user', 'claude-code', true, mac, '/Users/ann/.claude.json', 'mcpServers'],
  ['Claude Code for the user on Windows', 'claude-code', true, windows, 'C:\\Users\\ann\\.claude.json', 'mcpServers'],
  ['Claude Code with a folder of its own', 'claude-code', true, moved({ CLAUDE_CONFIG_DIR: '/home/ann/.claude-b' }), '/home/ann/.claude-b/.claude.json', 'mcpServers'],
  ['Cursor in a project', 'cursor', false, linux, '/home/ann/work/.cursor/mcp.json', 'mcpServers'],
  ['Cursor for the user', 'cursor', true, mac, '/Users/ann/.cursor/mcp.json', 'mcpServers'],
  ['Cursor for the user on Windows', 'cursor', true, windows, 'C:\\Users\\ann\\.cursor\\mcp.json', 'mcpServers'],
  ['VS Code in a project', 'vscode', false, linux, '/home/ann/work/.vscode/mcp.json', 'servers'],
  ['VS Code for the user', 'vscode', true, linux, '/home/ann/.config/Code/User/mcp.json', 'servers'],
  ['VS Code for the user on a Mac', 'vscode', true, mac, '/Users/ann/Library/Application Support/Code/User/mcp.json', 'servers'],
  ['VS Code for the user on Windows', 'vscode', true, windows, 'D:\\Roaming\\Code\\User\\mcp.json', 'servers']
] as const) {
  test(`knows the file of ${name}`, () => {
    const target = targetOf(client, user, machine)
    assert.is(target.path, path)
    assert.is(target.member, member)
    assert.is(target.isTyped, client === 'vscode')
    const isOfUser = user || client === 'claude'
    assert.is(target.scope, isOfUser ? 'user' : 'project')
    assert.is(target.signs.length > 0, isOfUser, 'only of a user file it is asked whether the client is there')
  })
}

test('starts npx through a shell for Claude Code on Windows alone', () => {
  assert.equal(targetOf('claude-code', false, windows).npx, ['cmd', '/c', 'npx'])
  for (const [client, machine] of [['claude-code', linux], ['claude', windows], ['cursor', windows], ['vscode', windows]] as const) {
    assert.equal(targetOf(client, false, machine).npx, ['npx'])
  }
})

test.run()
