import * as cache from '@actions/cache'
import * as core from '@actions/core'
import {fixed} from '../fixed.mjs'

async function main() {
  const key = core.getInput('key', {required: true})
  const found = await cache.restoreCache(fixed(core.getMultilineInput('path', {required: true})), key, core.getMultilineInput('restore-keys'))
  core.setOutput('cache-hit', String(found === key))
  core.setOutput('cache-matched-key', found ?? '')
  core.info(found ? `restored ${found}` : `no cache for ${key}`)
}

main().catch(error => core.setFailed(error.message))
