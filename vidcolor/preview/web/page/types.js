// @ts-check
/**
 * The shapes that travel between server and page. Nothing here runs.
 *
 * @typedef {{key: string, label: string, kind: "choice"|"number"|"switch", least?: number,
 *   most?: number, step?: number, default: any, choices?: any[], help?: string,
 *   scope: "film"|"shot"|"both"}} Control
 * @typedef {{name: string, colorizer: string, installed: boolean, license: string,
 *   bytes?: number}} Weights
 * @typedef {{name: string, title?: string, weights: string[]}} Colorizer
 * @typedef {{version: string, films: {id: string, name: string, uploaded: boolean,
 *   open: boolean}[], controls: Control[], colorizers: Colorizer[], weights: Weights[],
 *   detectors: string[], limits: {upload_bytes: number, picture_bytes: number},
 *   named_colors: {name: string, hex: string}[]}} ServerState
 * @typedef {{number: number, start: number, end: number, frames: number, time: string,
 *   seconds: number, state: "none"|"making"|"ready"|"stale", key: string|null,
 *   shown_key?: string|null, thumb?: boolean, made: number,
 *   note: string, references: boolean, colorizer: string|null, weights: string|null,
 *   settings: Record<string, any>, grade: Record<string, any>}} Shot
 * @typedef {{id: string, shot: number|null, frame: number|null,
 *   kind: "points"|"region"|"whole", points: number[], color: string, hex: string|null,
 *   track: number|string|null, radius: number, reach: number, note: string}} Hint
 * @typedef {{id: string, file: string, shot?: number|null, shots?: number[]|null,
 *   frame: number|null, strength: number, method: string}} Reference
 * @typedef {{id: number, shot: number, identity: string, label: string, name: string,
 *   color: string|null, mean: string|null, first_frame: number, last_frame: number,
 *   known: boolean}} Track
 * @typedef {{id: number, label: string, score: number, box: number[], identity: string,
 *   name: string}} Box
 * @typedef {{id: string, kind: string, film: string|null, shot: number|null, title: string,
 *   state: "queued"|"running"|"done"|"failed"|"canceled", done: number, total: number|null,
 *   started: number|null, message: string, result?: any, lane?: string, local?: () => void}} Job
 * @typedef {{id: string, name: string, ready: boolean, revision: number, can_undo: boolean,
 *   can_redo: boolean, width: number, height: number, seconds: number|null, rate: number,
 *   has_color: boolean, shots: Shot[], settings: Record<string, any>,
 *   grade: Record<string, any>, effective: Record<string, any>, hints: Hint[],
 *   references: Reference[], tracks: Track[], jobs: Job[],
 *   output: {name: string, exists: boolean, bytes: number, up_to_date: boolean},
 *   script_name: string, problem?: string|null}} FilmState
 */

export {};
