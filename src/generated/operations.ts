// Generated from contract/openapi.json by scripts/generate.ts. Do not edit.
export const OPERATIONS = {
	"requestMagicLink": {
		"id": "requestMagicLink",
		"method": "POST",
		"path": "/auth/magic-link",
		"open": true,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			429
		],
		"example": "{\"email\":\"ada@example.com\"}"
	},
	"verifyMagicLink": {
		"id": "verifyMagicLink",
		"method": "POST",
		"path": "/auth/verify",
		"open": true,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			401,
			429
		],
		"example": "{\"token\":\"the token parameter of the magic link\"}"
	},
	"queryRows": {
		"id": "queryRows",
		"method": "GET",
		"path": "/v1/{table}",
		"open": false,
		"query": [
			"filter",
			"sort",
			"limit"
		],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "null"
	},
	"addRow": {
		"id": "addRow",
		"method": "POST",
		"path": "/v1/{table}",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 201,
		"statuses": [
			201,
			400,
			401,
			413,
			429
		],
		"example": "{\"title\":\"Buy milk\",\"done\":false}"
	},
	"deleteWhere": {
		"id": "deleteWhere",
		"method": "DELETE",
		"path": "/v1/{table}",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "{\"filter\":{\"done\":true}}"
	},
	"upsertRow": {
		"id": "upsertRow",
		"method": "POST",
		"path": "/v1/{table}/upsert",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "{\"key\":\"email\",\"row\":{\"email\":\"ada@example.com\",\"name\":\"Ada\"}}"
	},
	"batch": {
		"id": "batch",
		"method": "POST",
		"path": "/v1/{table}/batch",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			409,
			413,
			429
		],
		"example": "{\"operations\":[{\"action\":\"add\",\"row\":{\"title\":\"Buy milk\"}},{\"action\":\"delete\",\"filter\":{\"done\":true}}]}"
	},
	"updateRow": {
		"id": "updateRow",
		"method": "POST",
		"path": "/v1/{table}/update_row",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			429
		],
		"example": "{\"id\":\"0197a1b2-0000-7000-8000-000000000000\",\"patch\":{\"done\":true}}"
	},
	"updateWhere": {
		"id": "updateWhere",
		"method": "POST",
		"path": "/v1/{table}/update_where",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			409,
			429
		],
		"example": "{\"filter\":{\"title\":\"Buy milk\"},\"patch\":{\"done\":true}}"
	},
	"countRows": {
		"id": "countRows",
		"method": "GET",
		"path": "/v1/{table}/count",
		"open": false,
		"query": [
			"filter"
		],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "null"
	},
	"listVersions": {
		"id": "listVersions",
		"method": "GET",
		"path": "/v1/{table}/versions",
		"open": false,
		"query": [
			"id"
		],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "null"
	},
	"restoreVersion": {
		"id": "restoreVersion",
		"method": "POST",
		"path": "/v1/{table}/restore",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			429
		],
		"example": "{\"id\":\"0197a1b2-0000-7000-8000-000000000000\",\"version\":1}"
	},
	"listTables": {
		"id": "listTables",
		"method": "GET",
		"path": "/v1/_tables",
		"open": false,
		"query": [],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			401,
			429
		],
		"example": "null"
	},
	"exportTables": {
		"id": "exportTables",
		"method": "GET",
		"path": "/v1/_export",
		"open": false,
		"query": [],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			401,
			429
		],
		"example": "null"
	},
	"createTextFieldLink": {
		"id": "createTextFieldLink",
		"method": "POST",
		"path": "/v1/_text_field_links",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			409,
			429
		],
		"example": "{\"table\":\"notes\",\"field\":\"body\",\"id\":\"0197a1b2-0000-7000-8000-000000000000\"}"
	},
	"createRowLink": {
		"id": "createRowLink",
		"method": "POST",
		"path": "/v1/_row_links",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			404,
			429
		],
		"example": "{\"table\":\"notes\",\"id\":\"0197a1b2-0000-7000-8000-000000000000\"}"
	},
	"createQueryLink": {
		"id": "createQueryLink",
		"method": "POST",
		"path": "/v1/_query_links",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 200,
		"statuses": [
			200,
			400,
			401,
			429
		],
		"example": "{\"table\":\"tasks\",\"filter\":{\"done\":false}}"
	},
	"listKeys": {
		"id": "listKeys",
		"method": "GET",
		"path": "/v1/_keys",
		"open": false,
		"query": [],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			401,
			429
		],
		"example": "null"
	},
	"createKey": {
		"id": "createKey",
		"method": "POST",
		"path": "/v1/_keys",
		"open": false,
		"query": [],
		"hasBody": true,
		"success": 201,
		"statuses": [
			201,
			400,
			401,
			429
		],
		"example": "{\"name\":\"laptop\"}"
	},
	"revokeKey": {
		"id": "revokeKey",
		"method": "DELETE",
		"path": "/v1/_keys/{id}",
		"open": false,
		"query": [],
		"hasBody": false,
		"success": 200,
		"statuses": [
			200,
			401,
			429
		],
		"example": "null"
	}
} as const;

export const CONTRACT_LIMITS = {
	"maxTables": 20,
	"maxRowsPerTable": 1000,
	"maxAccountBytes": 26214400,
	"maxRowBytes": 65536,
	"maxBatchOperations": 100,
	"readsPerMinute": 60,
	"writesPerMinute": 30,
	"maxQueryLimit": 1000,
	"maxVersionsPerRow": 10,
	"versionRetentionDays": 30
} as const;
