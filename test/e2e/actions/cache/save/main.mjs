import * as cache from '@actions/cache'
import * as core from '@actions/core'
import {fixed} from '../fixed.mjs'

async function main() {
  const key = core.getInput('key', {required: true})
  await cache.saveCache(fixed(core.getMultilineInput('path', {required: true})), key)
  core.info(`saved ${key}`)
}

main().catch(error => core.setFailed(error.message))
