# Every line may be run again.
set -eu
mc alias set store http://minio:9000 "$ROOT_USER" "$ROOT_SECRET"
mc mb --ignore-existing store/music-flamingo
# MinIO clears away broken uploads by itself, after a day, and refuses a rule that says so
mc ilm rule import store/music-flamingo < /setup/lifecycle.json
mc admin user add store "$ACCESS_KEY" "$SECRET_KEY"
mc admin policy create store music-flamingo /setup/policy.json
# attaching what is attached already is an error of mc's; its image has a shell and little else
mc admin policy attach store music-flamingo --user "$ACCESS_KEY" || case "$(mc admin user info store "$ACCESS_KEY")" in
  *music-flamingo*) ;;
  *) exit 1 ;;
esac
mc ls store/music-flamingo
