-- Health of a ProcedureSignature for Argo CD. It is Degraded only when it can never become good: one that is superseded,
-- or waits for its procedure or the CM host, is as it should be.
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "The operator has not seen this signature yet"}
end
local health = {status = "Healthy", message = ""}
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    return {status = "Degraded", message = condition.reason .. ": " .. (condition.message or "")}
  end
  if condition.type == "Ready" then
    health.message = condition.reason .. ": " .. (condition.message or "")
  end
end
return health
